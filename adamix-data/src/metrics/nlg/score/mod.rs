//! One call for every set of scores.

mod metric;
mod options;
mod report;

pub use metric::Statistics;
pub use options::{Kind, Options};
pub use report::{Score, Scores};

use super::bleu::{moses, nltk as nltk_bleu, sacre};
use super::bootstrap;
use super::error::ScoreError;
use super::io;
use super::meteor::{self, Meteor, MeteorError};
use super::mteval;
use super::nltk::{Punkt, Tokenizer, lower_and_split};
use super::ter::{pyter, tercom};
use super::{chrf, cider, ptb, rouge_l};
use adamix_keys::Key;
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

/// Scores a file of outputs against a file of references; see [`io`] for their layouts.
pub fn score_files(
    kind: Kind,
    references: &Path,
    outputs: &Path,
    options: &Options,
) -> Result<Scores, ScoreError> {
    let mut texts = io::read(references, outputs, kind)?;
    texts.part(options.part, references)?;
    // The E2E scripts have no numbered files. The other programs see the empty lines, and some count them.
    if matches!(
        kind,
        Kind::E2e | Kind::Nist | Kind::Meteor | Kind::RougeL | Kind::Cider
    ) {
        texts.drop_padding();
    }
    let mut scores = score(kind, &texts.references, &texts.outputs, options)?;
    scores.notes.extend(texts.note);
    Ok(scores)
}

/// Scores outputs against their references.
///
/// A set of scores is given without METEOR, and a note says why, if METEOR's data is missing.
pub fn score(
    kind: Kind,
    references: &[Vec<String>],
    outputs: &[String],
    options: &Options,
) -> Result<Scores, ScoreError> {
    check(references, outputs)?;
    let mut scores = Scores::new(kind, references);
    let mut run = Run {
        references,
        outputs,
        options,
        scores: &mut scores,
    };
    match kind {
        Kind::E2e => run.e2e(),
        Kind::Webnlg | Kind::Dart => run.generation_eval(),
        _ => run.single(kind)?,
    }
    Ok(scores)
}

/// Segments must be as many on both sides, and each must have a reference.
fn check(references: &[Vec<String>], outputs: &[String]) -> Result<(), ScoreError> {
    if references.len() != outputs.len() {
        return Err(ScoreError::Lengths {
            references: references.len(),
            outputs: outputs.len(),
        });
    }
    if outputs.is_empty() {
        return Err(ScoreError::Empty);
    }
    match references.iter().position(Vec::is_empty) {
        Some(segment) => Err(ScoreError::NoReference {
            segment: segment + 1,
        }),
        None => Ok(()),
    }
}

/// What is to be scored, and the scores so far.
struct Run<'a> {
    references: &'a [Vec<String>],
    outputs: &'a [String],
    options: &'a Options,
    scores: &'a mut Scores,
}

impl Run<'_> {
    /// Adds a score; `segments` replaces the scores of single segments if they are not those of the
    /// statistics.
    fn add(&mut self, name: &str, statistics: Statistics, segments: Option<Vec<f64>>) {
        let options = self.options;
        let key = Key::new(options.seed).purpose("score");
        let interval = options.bootstrap.and_then(|samples| {
            statistics.resampled(|corpus| bootstrap::interval(corpus, key, samples))
        });
        self.scores.scores.push(Score {
            name: name.to_owned(),
            value: Some(statistics.score()).filter(|value| value.is_finite()),
            interval,
            segments: options
                .segments
                .then(|| segments.unwrap_or_else(|| statistics.segments())),
            statistics: Some(statistics),
        });
    }

    /// BLEU and NIST as `measure_scores.py` computes them; its segment table is always the Python one's,
    /// with the n-gram information of the segment's own references.
    fn mteval(&mut self, counted: Mteval, bleu: bool, nist: bool) {
        let segments = |score: &dyn Fn(&mteval::Counts) -> f64| {
            let alone = counted.alone.as_ref()?;
            Some(alone.iter().map(score).collect())
        };
        let python = mteval::Variant::Python;
        let (of_bleu, of_sentence, of_nist) = (
            segments(&|counts| mteval::bleu(counts, python)),
            segments(&mteval::sentence_bleu),
            segments(&|counts| mteval::nist(counts, python)),
        );
        let (counts, variant) = (counted.counts, self.options.mteval);
        if bleu {
            let statistics = Statistics::MtevalBleu(counts.clone(), variant);
            self.add("BLEU", statistics, of_bleu);
            let named = of_sentence.map(|values| ("sentBLEU".to_owned(), values));
            self.scores.extra_segments.extend(named);
        }
        if nist {
            self.add("NIST", Statistics::Nist(counts, variant), of_nist);
        }
    }

    /// METEOR takes longest, so that everything else runs beside it.
    fn e2e(&mut self) {
        let (own_references, own_outputs, options) = (self.references, self.outputs, self.options);
        let (scorer, (references, outputs)) = thread::scope(|scope| {
            let scorer = scope.spawn(|| Meteor::open(options.meteor.as_deref()));
            let tokens = ptb_tokens(own_references, own_outputs);
            (joined(scorer), tokens)
        });
        let (meteor, (counted, rouge_l, cider)) = thread::scope(|scope| {
            let others = scope.spawn(|| {
                (
                    Mteval::count(own_references, own_outputs, options),
                    rouge_l::segments(&references, &outputs),
                    cider::segments(&references, &outputs),
                )
            });
            // The official wrapper takes out its own separators and doubled spaces.
            let outputs = outputs
                .iter()
                .map(|text| text.replace("|||", "").replace("  ", " "));
            let outputs: Vec<String> = outputs.collect();
            let meteor = scorer.map(|scorer| meteor_segments(scorer, &references, &outputs));
            (meteor, joined(others))
        });
        self.mteval(counted, true, true);
        self.meteor(meteor);
        self.add("ROUGE_L", Statistics::Mean(rouge_l), None);
        self.add("CIDEr", Statistics::Mean(cider), None);
    }

    /// METEOR, or a note on why it is missing.
    fn meteor(&mut self, segments: Result<Vec<meteor::Statistics>, MeteorError>) {
        match segments {
            Ok(segments) => self.add("METEOR", Statistics::Meteor(segments), None),
            Err(error) => {
                self.scores.scores.push(Score::missing("METEOR"));
                self.scores.notes.push(error.to_string());
            }
        }
    }

    /// What GenerationEval computes for WebNLG and DART.
    fn generation_eval(&mut self) {
        let prepare = |text: &String| {
            if self.options.lower_and_split {
                lower_and_split(text)
            } else {
                text.clone()
            }
        };
        let limit = self.options.max_references.unwrap_or(usize::MAX).max(1);
        let references: Vec<Vec<String>> = self
            .references
            .iter()
            .map(|texts| texts.iter().take(limit).map(prepare).collect())
            .collect();
        let outputs: Vec<String> = self.outputs.iter().map(prepare).collect();

        let tokenizer = self.nltk(references.iter().flatten().chain(&outputs));
        let tokens = |text: &String| tokenizer.words(text).join(" ");
        let split_references: Vec<Vec<String>> = references
            .iter()
            .map(|texts| texts.iter().map(tokens).collect())
            .collect();
        let split_outputs: Vec<String> = outputs.iter().map(tokens).collect();

        let counts = moses::count(&references, &outputs);
        self.add("BLEU", Statistics::Moses(counts), None);
        let counts = nltk_bleu::count(&split_references, &split_outputs);
        self.add("BLEU_NLTK", Statistics::Nltk(counts), None);
        let scorer = Meteor::open(self.options.meteor.as_deref());
        self.meteor(scorer.map(|m| meteor_segments(m, &split_references, &split_outputs)));
        let variant = chrf::Variant::Original;
        let counts = chrf::count(&references, &outputs, variant);
        self.add("chrF++", Statistics::Chrf(counts, variant, 1.0), None);
        let rates: Vec<f64> = split_references
            .iter()
            .zip(&split_outputs)
            .map(|(references, output)| pyter::segment(references, output))
            .collect();
        let alone = Some(rates.clone());
        let rates = match self.options.phantom_segment {
            true => Statistics::MeanWith(rates, 1.0),
            false => Statistics::Mean(rates),
        };
        self.add("TER", rates, alone);
    }

    /// NLTK's tokenizer, with its sentence model where a text depends on it; a note says when that is missing.
    fn nltk<'t>(&mut self, mut texts: impl Iterator<Item = &'t String>) -> Tokenizer {
        let plain = Tokenizer::new(None);
        if !texts.any(|text| plain.depends_on_sentences(text)) {
            return plain;
        }
        match Punkt::open(self.options.punkt.as_deref()) {
            Ok(punkt) => Tokenizer::new(Some(punkt)),
            Err(reason) => {
                self.scores.notes.push(format!(
                    "METEOR, BLEU_NLTK and TER of raw texts rest on where NLTK ends a sentence; a plain rule does that here. {reason}"
                ));
                plain
            }
        }
    }

    fn single(&mut self, kind: Kind) -> Result<(), ScoreError> {
        match kind {
            Kind::Bleu => {
                let settings = self.options.bleu;
                let counts = sacre::count(self.references, self.outputs, &settings);
                // sacreBLEU scores a sentence by the orders that it has.
                let alone = sacre::Settings {
                    effective_order: true,
                    ..settings
                };
                let segments = counts.iter().map(|c| sacre::score(c, &alone)).collect();
                self.add("BLEU", Statistics::Sacre(counts, settings), Some(segments));
                let numbers = self.references.iter().map(Vec::len);
                self.scores.signature = Some(sacre::signature(&settings, numbers));
            }
            Kind::MultiBleuDetok => {
                let counts = moses::count(self.references, self.outputs);
                self.add("BLEU", Statistics::Moses(counts), None);
            }
            Kind::Nist => {
                let counted = Mteval::count(self.references, self.outputs, self.options);
                self.mteval(counted, false, true);
            }
            Kind::Meteor => {
                let scorer = Meteor::open(self.options.meteor.as_deref())?;
                let segments = meteor_segments(scorer, self.references, self.outputs);
                self.add("METEOR", Statistics::Meteor(segments), None);
            }
            Kind::RougeL | Kind::Cider => {
                let (references, outputs) = ptb_tokens(self.references, self.outputs);
                if kind == Kind::RougeL {
                    let segments = rouge_l::segments(&references, &outputs);
                    self.add("ROUGE_L", Statistics::Mean(segments), None);
                } else {
                    let segments = cider::segments(&references, &outputs);
                    self.add("CIDEr", Statistics::Mean(segments), None);
                }
            }
            Kind::Ter => {
                let pairs = self.references.iter().zip(self.outputs);
                let segments = pairs.map(|(r, o)| tercom::segment(r, o)).collect();
                self.add("TER", Statistics::Tercom(segments), None);
                self.scores.signature =
                    Some(self.other_signature("case:lc|tok:tercom|norm:no|punct:yes|asian:no"));
            }
            _ => {
                let variant = chrf::Variant::SacreBleu;
                let counts = chrf::count(self.references, self.outputs, variant);
                self.add("chrF++", Statistics::Chrf(counts, variant, 100.0), None);
                self.scores.signature =
                    Some(self.other_signature("case:mixed|eff:yes|nc:6|nw:2|space:no"));
            }
        }
        Ok(())
    }

    fn other_signature(&self, settings: &str) -> String {
        let numbers = sacre::number_of_references(self.references.iter().map(Vec::len));
        format!("nrefs:{numbers}|{settings}|version:{}", sacre::VERSION)
    }
}

/// Tokens of coco-caption: all references as one text, all outputs as another.
fn ptb_tokens(references: &[Vec<String>], outputs: &[String]) -> (Vec<Vec<String>>, Vec<String>) {
    let mut lexer = ptb::Lexer::new();
    let flat: Vec<&str> = references.iter().flatten().map(String::as_str).collect();
    let mut tokens = ptb::tokenize(&mut lexer, &flat).into_iter();
    let references = references
        .iter()
        .map(|texts| tokens.by_ref().take(texts.len()).collect())
        .collect();
    let flat: Vec<&str> = outputs.iter().map(String::as_str).collect();
    (references, ptb::tokenize(&mut lexer, &flat))
}

fn meteor_segments(
    mut scorer: Meteor,
    references: &[Vec<String>],
    outputs: &[String],
) -> Vec<meteor::Statistics> {
    let segments = references.iter().zip(outputs).map(|(references, output)| {
        let references: Vec<&str> = references.iter().map(String::as_str).collect();
        scorer.segment(&references, output)
    });
    segments.collect()
}

/// What mteval counts in the corpus, and in every segment by itself if that is wanted.
struct Mteval {
    counts: Vec<mteval::Counts>,
    alone: Option<Vec<mteval::Counts>>,
}

impl Mteval {
    fn count(references: &[Vec<String>], outputs: &[String], options: &Options) -> Self {
        let python = mteval::Variant::Python;
        Self {
            counts: mteval::count(references, outputs, options.mteval),
            alone: options
                .segments
                .then(|| mteval::count_alone(references, outputs, python)),
        }
    }
}

/// The result of a thread; a panic in it goes on here.
fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    /// BLEU and TER as GenerationEval computes them of one output.
    fn bleu_and_ter(references: &[&str], output: &str, options: Options) -> [(f64, f64); 2] {
        let options = Options {
            meteor: Some(PathBuf::from("no-such-place")),
            ..options
        };
        [Kind::Webnlg, Kind::Dart].map(|kind| {
            let found = score(kind, &[texts(references)], &texts(&[output]), &options);
            let found = found.expect("texts are fine");
            let get = |name| found.get(name).expect("a score");
            (get("BLEU"), get("TER"))
        })
    }

    #[test]
    fn options_of_generation_eval_change_what_they_name() {
        let of = |lower_and_split, max_references, phantom_segment| {
            let options = Options {
                lower_and_split,
                max_references,
                phantom_segment,
                ..Options::default()
            };
            bleu_and_ter(&["x y z w", "a-B, c d"], "A - b , c D", options)
        };
        // Both are `a - b , c d` then.
        assert_eq!(of(true, Some(2), false), [(100.0, 0.0); 2]);
        assert_eq!(of(true, None, false), [(100.0, 0.0); 2]);
        // A segment that is all right, and one that is all wrong.
        assert_eq!(of(true, Some(2), true), [(100.0, 0.5); 2]);
        // Six words and none of the reference's four: four are replaced, two go.
        assert_eq!(of(true, Some(1), false), [(0.0, 1.5); 2]);
        assert_eq!(of(true, Some(0), false), [(0.0, 1.5); 2]);
        // `a-B , c d`: one of three words and another are replaced, two go.
        assert_eq!(of(false, Some(2), false), [(0.0, 1.0); 2]);
    }

    #[test]
    fn six_references_count_by_default() {
        let references = ["x", "x", "x", "x", "x", "a b c d", "e f g h"];
        let of = |output| bleu_and_ter(&references, output, Options::default());
        assert_eq!(of("a b c d"), [(100.0, 0.0); 2]);
        // Against `x` three words go and one is replaced, against the sixth all four are replaced.
        assert_eq!(of("e f g h"), [(0.0, 1.0); 2]);
    }
}
