//! `adamix predict`.

mod masked;
mod next_token;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use adamix_core::merging::Uniform;
use adamix_core::routing::{Fixed, Inference};
use adamix_data::{Encoding, Example, TableSpec, Task};
use adamix_keys::Key;
use adamix_models::hub::{self, StoredAdapter, write};
use anyhow::Result;
use burn::tensor::Device;
use clap::Args;
use serde_json::{Value, json};

use self::masked::masked;
use self::next_token::next_token;
use super::{number, output, show};
use crate::config::RegressionFloor;
use crate::recipe::generation::DecoderBase;
use crate::recipe::{Base, Evaluator, Mode, Served};
use crate::run::RunFolder;

/// Predict rows of a file, with a plain model or with an adapter on it.
#[derive(Debug, Args)]
#[command(after_help = "\
The input is JSONL with sentence1 and optionally sentence2, or with --task a TSV with that task's columns. One JSON \
object a row is written: row, input_ids, logits and label. Without an adapter the model's own head answers; a masked \
language model gives mask_positions and the vocabulary's logits at each, a decoder (GPT-2) the logits of the next token. \
With several adapters there is one object a row and adapter, with the adapter's path.

Examples:
  adamix predict --model bert-folder --run runs/mrpc --input rows.jsonl --output predictions.jsonl
  adamix predict --model bert-folder --adapter ties --task rte --input dev.tsv --output rte.jsonl
  adamix predict --model bert-folder --adapter peft-folder --adapter lora.bin --lora-alpha 16 \\
    --input rows.jsonl --output predictions.jsonl
  adamix predict --model finetuned-folder --input rows.jsonl --output predictions.jsonl")]
pub struct Predict {
    /// The base model: a Hugging Face folder, or `embedded`.
    #[arg(long, value_name = "HF_DIR")]
    model: PathBuf,
    /// A run whose best state is used.
    #[arg(long, value_name = "RUN", conflicts_with = "adapter")]
    run: Option<PathBuf>,
    /// An adapter: a folder of this program or of Python's peft, or a loralib .bin file. May be given often: all share
    /// the one base. One with several experts is merged by their mean.
    #[arg(long, value_name = "DIR")]
    adapter: Vec<PathBuf>,
    /// LoRA's alpha, for a loralib .bin file, which does not hold it.
    #[arg(long, value_name = "ALPHA", value_parser = number::alpha)]
    lora_alpha: Option<f64>,
    /// A GLUE task, for the columns of a TSV and the class names.
    #[arg(long)]
    task: Option<String>,
    /// The rows.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Where the predictions go.
    #[arg(long, value_name = "FILE.jsonl")]
    output: PathBuf,
    /// Longest input in tokens; that of the run or the adapter unless given, or 128.
    #[arg(long, value_parser = number::count())]
    max_length: Option<usize>,
    /// Rows a batch.
    #[arg(long, default_value_t = 64, value_parser = number::count())]
    batch_size: usize,
    /// Where to compute.
    #[arg(long, default_value = "flex")]
    device: String,
    /// Print how many rows went where as JSON.
    #[arg(long)]
    json: bool,
}

/// Which models answer, and how they are run.
struct Asked {
    adapters: Vec<PathBuf>,
    mode: Mode<'static>,
    floor: RegressionFloor,
}

impl Predict {
    pub fn run(self) -> Result<()> {
        let read = self.adapter.iter().chain([&self.input, &self.model]);
        output::check(
            &self.output,
            &read.map(PathBuf::as_path).collect::<Vec<_>>(),
        )?;
        let device = crate::device::open(&self.device)?;
        let task = self.task.as_deref().map(Task::by_name).transpose()?;
        let examples = self.read(task)?;
        let asked = self.asked()?;
        if hub::model_type(&self.model).is_ok_and(|kind| kind == "gpt2") {
            let base = DecoderBase::open(&self.model)?;
            let Asked { adapters, mode, .. } = &asked;
            let alpha = self.lora_alpha;
            let lines = next_token(&base, adapters, alpha, mode, &examples, &device)?;
            return self.write(&lines);
        }
        let base = Base::open(&self.model)?;
        let lines = if asked.adapters.is_empty() && base.config.is_masked_lm() {
            let encodings = base.encode(&examples, self.longest(&base, None))?;
            masked(&base, &examples, &encodings, &device)?
        } else {
            self.classified(&base, &asked, task, &examples, &device)?
        };
        self.write(&lines)
    }

    /// The adapters given, merged by their mean; or a run's best state, as the run measured it.
    fn asked(&self) -> Result<Asked> {
        let Some(run) = &self.run else {
            return Ok(Asked {
                adapters: self.adapter.clone(),
                mode: Mode {
                    inference: Inference::Merged,
                    rule: &Uniform {},
                    policy: Arc::new(Fixed::default()),
                    paths: 1,
                    key: Key::new(0),
                    batch_size: self.batch_size,
                },
                floor: RegressionFloor::None,
            });
        };
        let folder = RunFolder::open(run)?;
        let config = folder.config()?;
        let key = Mode::key_after(&config, folder.result()?.best.epoch);
        let mode = Mode {
            batch_size: self.batch_size,
            ..Mode::of(&config, &Uniform {}, key)?
        };
        let state = match mode.inference {
            // Merged by the run's own rule.
            Inference::Merged => "merged/best",
            _ => "adapter/best",
        };
        Ok(Asked {
            adapters: vec![folder.file(state)],
            mode,
            floor: config.evaluation.regression_floor,
        })
    }

    /// The longest input: what is asked for, what an adapter was trained with, or 128.
    fn longest(&self, base: &Base, stored: Option<&StoredAdapter>) -> usize {
        let trained = stored.and_then(|stored| stored.config.as_ref());
        let trained = trained
            .map(|config| config.max_length)
            .filter(|length| *length > 0);
        base.max_length(self.max_length.or(trained).unwrap_or(128))
    }

    fn write(&self, lines: &[Value]) -> Result<()> {
        let mut text = String::new();
        for line in lines {
            text += &serde_json::to_string(line)?;
            text.push('\n');
        }
        write::atomic(&self.output, text.as_bytes())?;
        if self.json {
            return show::json(&json!({"rows": lines.len(), "output": self.output}));
        }
        say!("{} rows -> {}", lines.len(), self.output.display())?;
        Ok(())
    }

    fn read(&self, task: Option<&Task>) -> Result<Vec<Example>> {
        let free = Task::regression(
            "predict",
            adamix_data::Columns::new("sentence1", Some("sentence2"), "label"),
        );
        let is_jsonl = self.input.extension().is_some_and(|e| e == "jsonl");
        let spec = match task {
            Some(task) if !is_jsonl => TableSpec {
                lenient: true,
                ..TableSpec::new(&self.input, &task.columns)
            },
            _ => TableSpec::to_predict(&self.input),
        };
        // Labels play no part in a prediction: a file may carry any, or none.
        let spec = TableSpec {
            label: None,
            ..spec
        };
        Ok(spec.load(task.unwrap_or(&free))?.examples)
    }

    /// One line a row, or with several adapters one line a row and adapter, which names the adapter.
    fn classified(
        &self,
        base: &Base,
        Asked {
            adapters,
            mode,
            floor,
        }: &Asked,
        task: Option<&Task>,
        examples: &[Example],
        device: &Device,
    ) -> Result<Vec<Value>> {
        let backbone = base.backbone(device)?;
        // All are opened before the first row is read.
        let served: Vec<(Option<&Path>, usize, Served)> = if adapters.is_empty() {
            vec![(None, self.longest(base, None), backbone.plain()?)]
        } else {
            let on = |path: &'_ PathBuf| -> Result<(usize, Served)> {
                let stored = base.stored(path, self.lora_alpha)?;
                let served = backbone.with(&stored)?;
                let longest = self.longest(base, Some(&stored));
                Ok((longest.min(served.model.longest_text(&base.config)), served))
            };
            let served = adapters.iter().map(|path| {
                let (longest, served) = on(path)?;
                Ok((Some(path.as_path()), longest, served))
            });
            served.collect::<Result<_>>()?
        };
        let progress = show::progress();
        progress.set_length((examples.len() * served.len()) as u64);
        let mut lines = Vec::new();
        // What adapters of one length share.
        let mut plain: BTreeMap<usize, Vec<Encoding>> = BTreeMap::new();
        for (adapter, longest, served) in &served {
            let evaluator = Evaluator::new(&served.model, base, mode, device)?;
            let asked = match &served.prompt {
                Some(prompt) => Some(prompt.encode(base, examples, *longest)?),
                None => None,
            };
            let encodings = match &asked {
                Some(asked) => asked,
                None => match plain.entry(*longest) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => new.insert(base.encode(examples, *longest)?),
                },
            };
            let predictions = evaluator.predict(examples, encodings, &show::rows(&progress))?;
            let labels = served.class_names(task)?;
            let rows = predictions.rows.iter().zip(&predictions.logits);
            for ((row, logits), encoding) in rows.zip(encodings) {
                let label = match logits.as_slice() {
                    [score] => json!(floor.of(*score)),
                    _ => {
                        let class = crate::recipe::argmax(logits) as usize;
                        labels.get(class).map_or(json!(class), |name| json!(name))
                    }
                };
                let mut line = json!({"row": row, "input_ids": encoding.ids, "logits": logits, "label": label});
                if let (Some(adapter), true) = (adapter, adapters.len() > 1) {
                    line["adapter"] = json!(adapter);
                }
                lines.push(line);
            }
        }
        progress.finish_and_clear();
        Ok(lines)
    }
}
