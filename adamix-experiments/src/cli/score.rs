//! `adamix score`.

use std::path::PathBuf;

use adamix_data::metrics::nlg::bleu::sacre;
use adamix_data::metrics::nlg::{self, Kind, Options, Scores, mteval};
use adamix_data::nlg::Part;
use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use serde_json::json;

use super::show;

/// Score generated text as the official programs do, without Java, Perl or Python.
#[derive(Debug, Args)]
#[command(after_help = "\
References: a data set's own file (E2E's CSV, WebNLG's JSON or XML, DART's JSON), blocks of lines with a blank line \
between them, or numbered files. \
Hypotheses: one a line, or the E2E challenge's MR<TAB>output. With a data set's own file there is one for every distinct input, or one for every entry. METEOR reads the official 1.5 data from ADAMIX_METEOR \
or ~/.cache/adamix/meteor; without them all other scores are still given. Raw texts of WebNLG and DART are split into \
sentences by NLTK's model, from ADAMIX_PUNKT or ~/.cache/adamix/punkt.

Examples:
  adamix score e2e --refs testset_w_refs.csv --hyps outputs.txt
  adamix score e2e --refs refs.txt --hyps outputs.txt --python-mteval --json
  adamix score webnlg --refs test.json --hyps outputs.txt --lower-and-split --part unseen
  adamix score bleu --refs refs.txt --hyps ours.txt --bootstrap 1000 --against theirs.txt")]
pub struct Score {
    /// e2e, webnlg, dart, or one score: bleu, multi-bleu-detok, nist, meteor, rouge-l, cider, ter, chrf.
    #[arg(value_parser = |name: &str| name.parse::<Kind>())]
    kind: Kind,
    /// The references.
    #[arg(long, value_name = "FILE")]
    refs: PathBuf,
    /// The outputs.
    #[arg(long, value_name = "FILE")]
    hyps: PathBuf,
    /// Outputs of another system, compared by paired bootstrap.
    #[arg(long, value_name = "FILE", requires = "bootstrap")]
    against: Option<PathBuf>,
    /// Bootstrap samples, for 95 % intervals.
    #[arg(long, value_name = "SAMPLES", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    bootstrap: Option<u32>,
    /// The bootstrap's seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// BLEU and NIST of E2E as the scripts' Python rewrite gives them (`-p`), not the Perl program.
    #[arg(long)]
    python_mteval: bool,
    /// WebNLG and DART: lower-case and split outputs and references first, as LoRA and AdaMix do.
    #[arg(long)]
    lower_and_split: bool,
    /// WebNLG and DART: count the empty segment that GenerationEval's TER finds at the end.
    #[arg(long)]
    phantom_segment: bool,
    /// WebNLG and DART: how many references of a segment count, from the first: 6 unless given (GenerationEval's own default is 4), 0 for all.
    #[arg(long, value_name = "N")]
    references: Option<usize>,
    /// WebNLG, with its own JSON or XML as references: all, seen or unseen categories.
    #[arg(long, default_value = "all", value_parser = part)]
    part: Part,
    /// How sacreBLEU's BLEU splits texts: 13a (unless given), intl, char or none.
    #[arg(long, value_parser = tokenizer)]
    tokenizer: Option<sacre::Tokenizer>,
    /// METEOR's data: a folder, a wheel or an index.
    #[arg(long, value_name = "PATH")]
    meteor: Option<PathBuf>,
    /// WebNLG and DART: NLTK's sentence model for raw texts: a folder or a wheel.
    #[arg(long, value_name = "PATH")]
    punkt: Option<PathBuf>,
    /// Scores of every segment, too.
    #[arg(long)]
    segments: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Score {
    pub fn run(self) -> Result<()> {
        self.check()?;
        let samples = self.bootstrap.map(|samples| samples as usize);
        let options = Options {
            mteval: if self.python_mteval {
                mteval::Variant::Python
            } else {
                mteval::Variant::Perl
            },
            segments: self.segments,
            bootstrap: samples,
            seed: self.seed,
            meteor: self.meteor.clone(),
            punkt: self.punkt.clone(),
            lower_and_split: self.lower_and_split,
            phantom_segment: self.phantom_segment,
            part: self.part,
            max_references: Some(self.references.unwrap_or(6)).filter(|n| *n > 0),
            bleu: sacre::Settings {
                tokenizer: self.tokenizer.unwrap_or_default(),
                ..Default::default()
            },
        };
        let scores = nlg::score_files(self.kind, &self.refs, &self.hyps, &options)
            .map_err(|e| anyhow!("{e}"))?;
        let comparison = match (&self.against, samples) {
            (Some(path), Some(samples)) => {
                let other = nlg::score_files(self.kind, &self.refs, path, &options)
                    .map_err(|e| anyhow!("{e}"))?;
                let compared = scores.compare(&other, self.seed, samples);
                let files = || format!("{} and {}", self.hyps.display(), path.display());
                Some(compared.with_context(files)?)
            }
            _ => None,
        };
        if self.json {
            let mut value = serde_json::to_value(&scores)?;
            if let Some(comparison) = comparison {
                let by_name: serde_json::Map<_, _> = comparison
                    .into_iter()
                    .map(|(name, c)| (name, json!(c)))
                    .collect();
                value["against"] = by_name.into();
            }
            return show::json(&value);
        }
        print(&scores)?;
        for (name, compared) in comparison.into_iter().flatten() {
            say!(
                "{name:<10} difference {:+.4}  [{:+.4}, {:+.4}]  p = {:.4}",
                compared.difference,
                compared.low,
                compared.high,
                compared.p_value
            )?;
        }
        Ok(())
    }

    /// Refuses options that would change nothing.
    fn check(&self) -> Result<()> {
        let kind = self.kind;
        let generation = matches!(kind, Kind::Webnlg | Kind::Dart);
        let mteval = matches!(kind, Kind::E2e | Kind::Nist);
        for (name, given, counts, whom) in [
            ("python-mteval", self.python_mteval, mteval, "e2e and nist"),
            (
                "tokenizer",
                self.tokenizer.is_some(),
                kind == Kind::Bleu,
                "bleu",
            ),
            (
                "lower-and-split",
                self.lower_and_split,
                generation,
                "webnlg and dart",
            ),
            ("punkt", self.punkt.is_some(), generation, "webnlg and dart"),
            (
                "phantom-segment",
                self.phantom_segment,
                generation,
                "webnlg and dart",
            ),
            (
                "references",
                self.references.is_some(),
                generation,
                "webnlg and dart",
            ),
        ] {
            ensure!(!given || counts, "--{name} is for {whom}");
        }
        Ok(())
    }
}

/// A part of WebNLG by its name.
fn part(name: &str) -> Result<Part, String> {
    let value = serde_json::Value::String(name.to_owned());
    serde_json::from_value(value).map_err(|_| format!("`{name}` is none of all, seen, unseen"))
}

/// A tokeniser by its name in sacreBLEU.
fn tokenizer(name: &str) -> Result<sacre::Tokenizer, String> {
    let value = serde_json::Value::String(name.to_owned());
    serde_json::from_value(value).map_err(|_| format!("`{name}` is none of 13a, intl, char, none"))
}

fn print(scores: &Scores) -> Result<()> {
    for score in &scores.scores {
        let value = score
            .value
            .map_or("-".to_owned(), |value| format!("{value:.4}"));
        match &score.interval {
            Some(interval) => say!(
                "{:<10} {value}  [{:.4}, {:.4}]",
                score.name,
                interval.low,
                interval.high
            )?,
            None => say!("{:<10} {value}", score.name)?,
        }
        for segment in score.segments.iter().flatten() {
            say!("  {segment:.6}")?;
        }
    }
    if let Some(signature) = &scores.signature {
        say!("{signature}")?;
    }
    for note in &scores.notes {
        eprintln!("note: {note}");
    }
    Ok(())
}
