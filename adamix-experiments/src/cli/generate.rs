//! `adamix generate`.

use std::path::PathBuf;

use adamix_data::nlg::Corpus;
use adamix_keys::Key;
use adamix_models::hub::write;
use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use super::state::State;
use super::{output, show};
use crate::config::{self, Generation, Search};
use crate::recipe::Mode;
use crate::recipe::generation::{DecoderBase, Decoding, Lines, read_prompts, write_texts};
use crate::run::RunFolder;

/// Generate texts with a decoder, plain or trained.
#[derive(Debug, Args)]
#[command(after_help = "\
The input is a file of a data set (--task: its distinct inputs in order), JSON objects with `context`, `prompt` or \
`input_ids` (.jsonl), or one text a line. A context is followed by the separator that training puts there; a prompt is \
continued as it is. A line of text is a context where a run or an adapter is given, else a prompt. \
The output is one text a line, or with .jsonl one object with `text`, `tokens` and `score`. \
Each distinct prompt is searched once. The search is set by the keys of the run's [generation] table.

Examples:
  adamix generate --run runs/e2e --task e2e --input devset.csv --output out.txt
  adamix generate --model gpt2 --input prompts.txt --output out.jsonl \\
    --set generation.search=greedy
  adamix generate --model gpt2 --adapter merged --input contexts.txt --output out.txt \\
    --set generation.search=huggingface --set generation.beams=4
  adamix generate --model gpt2 --input prompts.txt --output out.txt \\
    --set generation.search=sample --set generation.top_p=0.9 --set seed=3")]
pub struct Generate {
    /// The base model's Hugging Face folder; by default the run's.
    #[arg(long, value_name = "DIR", required_unless_present = "run")]
    model: Option<PathBuf>,
    /// A run's folder.
    #[arg(long, value_name = "DIR", conflicts_with = "adapter")]
    run: Option<PathBuf>,
    /// An adapter's folder.
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// Which state of the run's model.
    #[arg(long, value_enum, default_value = "last", conflicts_with = "adapter")]
    state: State,
    /// Whose layout the input has: e2e, webnlg or dart.
    #[arg(long, value_parser = corpus)]
    task: Option<Corpus>,
    /// What to generate for.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Where the texts go.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// What a line of text is.
    #[arg(long, value_enum, value_name = "KIND")]
    lines: Option<Kind>,
    /// Change a key of the run config, such as generation.beams=4; may be given often.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Where to compute.
    #[arg(long, default_value = "flex")]
    device: String,
}

/// What a line of text is.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// An input: the separator follows.
    Contexts,
    /// A beginning.
    Prompts,
}

fn corpus(name: &str) -> Result<Corpus, String> {
    Corpus::by_name(name).ok_or_else(|| format!("`{name}` is none of e2e, webnlg, dart"))
}

/// What can be set of a config for a model that is trained.
const KEYS: [&str; 4] = ["seed", "generation.", "evaluation.", "merging."];

/// The keys of `generation` and `merging` that training reads, not a search.
const TRAINING: [&str; 7] = [
    "generation.label_smoothing",
    "generation.train_split",
    "generation.dev_rows",
    "generation.test_inputs",
    "generation.states",
    "generation.references",
    "merging.ema",
];

/// The keys that only some searches read.
const SEARCHES: [(&str, &[Search]); 7] = [
    ("beams", &[Search::Released, Search::HuggingFace]),
    ("length_penalty", &[Search::Released, Search::HuggingFace]),
    ("no_repeat_ngram", &[Search::Released, Search::HuggingFace]),
    ("early_stopping", &[Search::HuggingFace]),
    ("temperature", &[Search::Sample]),
    ("top_k", &[Search::Sample]),
    ("top_p", &[Search::Sample]),
];

impl Generate {
    /// Refuses settings that would change nothing.
    fn check_search(&self, generation: &Generation) -> Result<()> {
        for setting in &self.set {
            let key = setting.split('=').next().unwrap_or_default().trim();
            ensure!(
                !TRAINING.contains(&key),
                "--set {setting}: only training reads it"
            );
            let key = key.strip_prefix("generation.").unwrap_or_default();
            let readers = SEARCHES.iter().find(|(name, _)| *name == key);
            if let Some((_, readers)) = readers {
                ensure!(
                    readers.contains(&generation.search),
                    "--set {setting}: generation.search = {:?} does not read it",
                    format!("{:?}", generation.search).to_lowercase()
                );
            }
        }
        Ok(())
    }

    pub fn run(self) -> Result<()> {
        for setting in &self.set {
            ensure!(
                KEYS.iter().any(|key| setting.trim_start().starts_with(key)),
                "--set {setting}: only `seed` and keys of `generation`, `evaluation` and `merging` can be set here"
            );
        }
        let run = self.run.as_deref().map(RunFolder::open).transpose()?;
        let config = match &run {
            Some(run) => config::read(Some(&run.file("run.toml")), &self.set)?,
            None => config::read(None, &self.set)?,
        };
        self.check_search(&config.generation)?;
        let read = self.adapter.iter().chain([&self.input]);
        output::check(
            &self.output,
            &read.map(PathBuf::as_path).collect::<Vec<_>>(),
        )?;
        let device = crate::device::open(&self.device)?;
        let base = DecoderBase::of_run(&config, self.model.as_deref())?;
        let adapter = run
            .map(|run| run.file(self.state.adapter()))
            .or(self.adapter);
        let lines = match (self.lines, &adapter) {
            (Some(Kind::Contexts), _) | (None, Some(_)) => Lines::Inputs,
            (Some(Kind::Prompts), _) | (None, None) => Lines::Prompts,
        };
        let prompts = read_prompts(&self.input, self.task, lines, &base)?;
        let model = match &adapter {
            Some(folder) => base.served(folder, &device)?,
            None => base.plain(&device)?,
        };
        let rule = config.merging.rule_for(&model)?;
        let key = Key::new(config.seed).purpose("generation");
        let mode = Mode::of(&config, rule.as_ref(), key)?;
        let model = mode.ready(&model)?;

        let progress = show::progress();
        progress.set_length(prompts.len() as u64);
        let decoding = Decoding::new(&config.generation, &base, key);
        let room = decoding.room(&model)?;
        let cut: Vec<usize> = (prompts.iter().enumerate())
            .filter(|(_, prompt)| prompt.len() > room)
            .map(|(i, _)| i + 1)
            .collect();
        if let Some(first) = cut.first() {
            eprintln!(
                "note: {} prompts, the first number {first}, have more than {room} tokens, which is what {} new ones leave: \
                 only their last {room} are read",
                cut.len(),
                config.generation.new_tokens
            );
        }
        let texts = decoding.run(&model, &mode, &prompts, &|done| {
            progress.inc(done as u64);
            Ok(())
        })?;
        progress.finish_and_clear();
        if self.output.extension().is_some_and(|e| e == "jsonl") {
            let line = |text| serde_json::to_string(text).expect("a text serialises") + "\n";
            let lines: String = texts.iter().map(line).collect();
            write::atomic(&self.output, lines.as_bytes())?;
        } else {
            write_texts(&self.output, &texts)?;
        }
        Ok(())
    }
}
