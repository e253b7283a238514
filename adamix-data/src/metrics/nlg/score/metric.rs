//! A corpus under one metric: the statistics of its segments, and the score of any part of it.

use super::super::bleu::{self, moses, nltk, sacre};
use super::super::bootstrap::{Means, MeansWith, Resample, Sums};
use super::super::chrf;
use super::super::meteor;
use super::super::mteval;
use super::super::ter::tercom;

/// The statistics of every segment under one metric.
#[derive(Clone, Debug)]
pub enum Statistics {
    /// BLEU of mteval-13a.
    MtevalBleu(Vec<mteval::Counts>, mteval::Variant),
    /// NIST of mteval-13a.
    Nist(Vec<mteval::Counts>, mteval::Variant),
    /// BLEU of `multi-bleu-detok.perl`.
    Moses(Vec<bleu::Counts>),
    /// BLEU of NLTK.
    Nltk(Vec<bleu::Counts>),
    /// BLEU of sacreBLEU.
    Sacre(Vec<bleu::Counts>, sacre::Settings),
    /// METEOR.
    Meteor(Vec<meteor::Statistics>),
    /// TER of Tercom.
    Tercom(Vec<tercom::Counts>),
    /// chrF++, between 0 and 1 times the factor.
    Chrf(Vec<chrf::Counts>, chrf::Variant, f64),
    /// A mean of segment scores: ROUGE-L, CIDEr, TER of pyter.
    Mean(Vec<f64>),
    /// The same with one segment more, which is always there: TER of GenerationEval's script.
    MeanWith(Vec<f64>, f64),
}

impl Statistics {
    /// Hands the segments to `with` as something to draw from.
    pub(super) fn resampled<R>(&self, with: impl FnOnce(&dyn Resample) -> R) -> R {
        match self {
            Self::MtevalBleu(segments, variant) => with(&Sums {
                segments,
                score: |total: &mteval::Counts| mteval::bleu(total, *variant),
            }),
            Self::Nist(segments, variant) => with(&Sums {
                segments,
                score: |total: &mteval::Counts| mteval::nist(total, *variant),
            }),
            Self::Moses(segments) => with(&Sums {
                segments,
                score: moses::score,
            }),
            Self::Nltk(segments) => with(&Sums {
                segments,
                score: nltk::score,
            }),
            Self::Sacre(segments, settings) => with(&Sums {
                segments,
                score: |total: &bleu::Counts| sacre::score(total, settings),
            }),
            Self::Meteor(segments) => with(&Sums {
                segments,
                score: meteor::Statistics::score,
            }),
            Self::Tercom(segments) => with(&Sums {
                segments,
                score: tercom::Counts::score,
            }),
            Self::Chrf(segments, variant, factor) => with(&Sums {
                segments,
                score: |total: &chrf::Counts| factor * total.score(*variant),
            }),
            Self::Mean(segments) => with(&Means(segments)),
            Self::MeanWith(segments, constant) => with(&MeansWith {
                segments,
                constant: *constant,
            }),
        }
    }

    /// What BLEU is made of, segment by segment; none of other metrics.
    pub fn bleu(&self) -> Option<Vec<bleu::Counts>> {
        let counts = |counts: &mteval::Counts| bleu::Counts {
            matches: core::array::from_fn(|n| counts.matches[n]),
            totals: core::array::from_fn(|n| counts.candidates[n]),
            length: counts.candidates[0],
            reference: counts.closest,
        };
        match self {
            Self::MtevalBleu(segments, _) => Some(segments.iter().map(counts).collect()),
            Self::Moses(segments) | Self::Nltk(segments) | Self::Sacre(segments, _) => {
                Some(segments.clone())
            }
            _ => None,
        }
    }

    /// The score of the whole corpus.
    pub fn score(&self) -> f64 {
        self.resampled(|corpus| {
            let all: Vec<u32> = (0..corpus.segments() as u32).collect();
            corpus.score(&all)
        })
    }

    /// The score of every segment by itself.
    pub fn segments(&self) -> Vec<f64> {
        self.resampled(|corpus| {
            (0..corpus.segments() as u32)
                .map(|segment| corpus.score(&[segment]))
                .collect()
        })
    }
}
