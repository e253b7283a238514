//! What to score, and how.

use super::super::bleu::sacre;
use super::super::mteval;
use crate::nlg::Part;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::str::FromStr;

/// A set of scores that go together, or a single one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The five of the E2E scripts: BLEU, NIST, METEOR, ROUGE_L, CIDEr.
    E2e,
    /// Those of GenerationEval for WebNLG: BLEU, BLEU_NLTK, METEOR, chrF++, TER.
    Webnlg,
    /// The same for DART.
    Dart,
    /// sacreBLEU's BLEU.
    Bleu,
    /// BLEU of `multi-bleu-detok.perl`.
    MultiBleuDetok,
    /// NIST of mteval-13a.
    Nist,
    /// METEOR 1.5, on the texts as they are.
    Meteor,
    /// ROUGE-L as coco-caption computes it.
    RougeL,
    /// CIDEr as coco-caption computes it.
    Cider,
    /// TER of Tercom, as in sacreBLEU.
    Ter,
    /// chrF++, as in sacreBLEU.
    Chrf,
}

impl Kind {
    /// All kinds with their names.
    pub const ALL: [(&'static str, Kind); 11] = [
        ("e2e", Kind::E2e),
        ("webnlg", Kind::Webnlg),
        ("dart", Kind::Dart),
        ("bleu", Kind::Bleu),
        ("multi-bleu-detok", Kind::MultiBleuDetok),
        ("nist", Kind::Nist),
        ("meteor", Kind::Meteor),
        ("rouge-l", Kind::RougeL),
        ("cider", Kind::Cider),
        ("ter", Kind::Ter),
        ("chrf", Kind::Chrf),
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, kind)| *kind == self);
        found.map_or("", |(name, _)| name)
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(name, _)| *name == text);
        found.map(|(_, kind)| *kind).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|(name, _)| *name).collect();
            format!("{text:?} is no score; there are {}", names.join(", "))
        })
    }
}

/// Options of scoring. The defaults are those of the official programs, but for two of WebNLG and DART: GenerationEval
/// takes four references unless told otherwise, and always counts the empty segment behind a last line break.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Which mteval to agree with on E2E: the Perl program, or the Python rewrite (`-p`).
    pub mteval: mteval::Variant,
    /// Whether scores of every segment are wanted, too.
    pub segments: bool,
    /// How many bootstrap samples the intervals take; none are computed if `None`.
    pub bootstrap: Option<usize>,
    /// The seed of the bootstrap.
    pub seed: u64,
    /// METEOR's data: a folder, a wheel or an index; the default folder if `None`.
    pub meteor: Option<PathBuf>,
    /// NLTK's sentence model, for raw texts of WebNLG and DART: a folder or a wheel; the default folder if `None`.
    pub punkt: Option<PathBuf>,
    /// Which part of WebNLG's segments is scored.
    pub part: Part,
    /// How many references of a segment WebNLG and DART use; six by default, as in the scripts of LoRA and AdaMix.
    pub max_references: Option<usize>,
    /// Whether texts of WebNLG and DART are made lower case and split at every mark first, as LoRA and
    /// AdaMix do to outputs and references.
    pub lower_and_split: bool,
    /// Whether TER of WebNLG and DART counts the empty segment that GenerationEval finds behind the last
    /// line break, with a rate of one. Not by default: no system wrote it.
    pub phantom_segment: bool,
    /// Settings of sacreBLEU's BLEU.
    pub bleu: sacre::Settings,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mteval: mteval::Variant::Perl,
            segments: false,
            bootstrap: None,
            seed: 0,
            meteor: None,
            punkt: None,
            part: Part::All,
            max_references: Some(6),
            lower_and_split: false,
            phantom_segment: false,
            bleu: sacre::Settings::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_kinds_belong_together() {
        for (name, kind) in Kind::ALL {
            assert_eq!(name.parse(), Ok(kind));
            assert_eq!(kind.name(), name);
        }
        let error = "bleurt".parse::<Kind>().expect_err("unknown");
        assert!(error.contains("bleurt") && error.contains("e2e"));
    }
}
