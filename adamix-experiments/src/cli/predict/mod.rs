//! `adamix predict`.

mod masked;
mod next_token;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use adamix_core::merging::Uniform;
use adamix_core::routing::{Fixed, Inference, RoutingPolicy};
use adamix_data::{Encoding, Example, TableSpec, Task};
use adamix_keys::Key;
use adamix_models::hub::{self, write};
use anyhow::Result;
use burn::tensor::Device;
use clap::Args;
use serde_json::{Value, json};

use self::masked::masked;
use self::next_token::next_token;
use super::show;
use crate::recipe::{Base, Evaluator, Mode, Served};
use crate::run::RunFolder;

/// Predict rows of a file, with a plain model or with an adapter on it.
#[derive(Debug, Args)]
#[command(after_help = "\
The input is JSONL with sentence1 and optionally sentence2, or with --task a TSV with that task's columns. One JSON
object a row is written: row, input_ids, logits and label. Without an adapter the model's own head answers; a masked
language model gives mask_positions and the vocabulary's logits at each, a decoder (GPT-2) the logits of the next token.
With several adapters there is one object a row and adapter, with the adapter's path.

Examples:
  adamix predict --model bert-folder --run runs/mrpc --input rows.jsonl --output predictions.jsonl
  adamix predict --model bert-folder --adapter runs/rte/merged/best --task rte --input dev.tsv --output rte.jsonl
  adamix predict --model bert-folder --adapter peft-folder --adapter lora.bin --lora-alpha 16 --input rows.jsonl \\
    --output predictions.jsonl
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
    #[arg(long, value_name = "ALPHA")]
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
    /// Longest input in tokens.
    #[arg(long, default_value_t = 128)]
    max_length: usize,
    /// Rows a batch.
    #[arg(long, default_value_t = 64)]
    batch_size: usize,
    /// Where to compute.
    #[arg(long, default_value = "flex")]
    device: String,
    /// Print how many rows went where as JSON.
    #[arg(long)]
    json: bool,
}

impl Predict {
    pub fn run(self) -> Result<()> {
        let device = crate::device::open(&self.device)?;
        let task = self.task.as_deref().map(Task::by_name).transpose()?;
        let examples = self.read(task)?;
        if hub::model_type(&self.model).is_ok_and(|kind| kind == "gpt2") {
            let adapters = self.adapters()?;
            return self.write(&next_token(
                &self.model,
                &adapters,
                self.lora_alpha,
                &examples,
                &device,
            )?);
        }
        let base = Base::open(&self.model)?;
        let encodings = base.encode(&examples, base.max_length(self.max_length))?;
        let plain = self.run.is_none() && self.adapter.is_empty();
        let lines = if plain && base.config.is_masked_lm() {
            masked(&base, &examples, &encodings, &device)?
        } else {
            self.classified(&base, task, &examples, &encodings, &device)?
        };
        self.write(&lines)
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
        task: Option<&Task>,
        examples: &[Example],
        encodings: &[Encoding],
        device: &Device,
    ) -> Result<Vec<Value>> {
        let backbone = base.backbone(device)?;
        let adapters = self.adapters()?;
        let served: Vec<(Option<&Path>, Served)> = if adapters.is_empty() {
            vec![(None, backbone.plain()?)]
        } else {
            let on = |path: &'_ PathBuf| backbone.with(&base.stored(path, self.lora_alpha)?);
            let served = adapters
                .iter()
                .map(|path| Ok((Some(path.as_path()), on(path)?)));
            served.collect::<Result<_>>()?
        };
        let routed = self.routed()?;
        let mode = Mode {
            inference: (routed.as_ref()).map_or(Inference::Merged, |p| p.native_inference()),
            rule: &Uniform {},
            policy: routed.unwrap_or_else(|| Arc::new(Fixed::default())),
            paths: 1,
            key: Key::new(0),
            batch_size: self.batch_size,
        };
        let progress = show::progress();
        progress.set_length((examples.len() * served.len()) as u64);
        let mut lines = Vec::new();
        for (adapter, served) in &served {
            let evaluator = Evaluator::new(&served.model, base, &mode, device)?;
            let asked = match &served.prompt {
                Some(prompt) => {
                    Some(prompt.encode(base, examples, base.max_length(self.max_length))?)
                }
                None => None,
            };
            let encodings = asked.as_deref().unwrap_or(encodings);
            let predictions = evaluator.predict(examples, encodings, &show::rows(&progress))?;
            let given = task.filter(|task| !task.labels.is_empty());
            let labels = given.map_or(&served.labels, |task| &task.labels);
            let rows = predictions.rows.iter().zip(&predictions.logits);
            for ((row, logits), encoding) in rows.zip(encodings) {
                let label = match logits.as_slice() {
                    [score] => json!(score),
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

    /// The run's policy, where it is not meant to be merged.
    fn routed(&self) -> Result<Option<Arc<dyn RoutingPolicy>>> {
        let Some(run) = &self.run else {
            return Ok(None);
        };
        let policy = RunFolder::open(run)?.config()?.routing.policy()?;
        Ok((policy.native_inference() != Inference::Merged).then_some(policy))
    }

    /// The adapters to use: those given, or a run's merged best state, or its trained one where the policy
    /// is not merged.
    fn adapters(&self) -> Result<Vec<PathBuf>> {
        let Some(run) = &self.run else {
            return Ok(self.adapter.clone());
        };
        let state = match self.routed()? {
            None => "merged/best",
            Some(_) => "adapter/best",
        };
        Ok(vec![RunFolder::open(run)?.file(state)])
    }
}
