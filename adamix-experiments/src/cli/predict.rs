//! `adamix predict`.

use std::path::PathBuf;

use adamix_core::merging::Uniform;
use adamix_core::routing::{self, Inference};
use adamix_data::{Encoding, Example, TableSpec, Task, collate, plan_evaluation};
use adamix_keys::Key;
use adamix_models::encoder::{
    EncoderInput, MaskedLm, Pooling, SequenceClassifier, SequenceClassifierConfig,
};
use adamix_models::hub::write;
use adamix_models::pass::Pass;
use anyhow::{Context, Result, ensure};
use burn::tensor::{Device, Int, Tensor};
use clap::Args;
use serde_json::{Value, json};

use super::show;
use crate::recipe::{Base, Evaluator, Mode, encode};
use crate::run::RunFolder;

/// Predict rows of a file, with a plain model or with an adapter on it.
#[derive(Debug, Args)]
#[command(after_help = "\
The input is JSONL with sentence1 and optionally sentence2, or with --task a TSV with that task's columns. One JSON
object a row is written: row, input_ids, logits and label. Without an adapter the model's own head answers; a masked
language model gives mask_positions and the vocabulary's logits at each.

Examples:
  adamix predict --model bert-folder --run runs/mrpc --input rows.jsonl --output predictions.jsonl
  adamix predict --model bert-folder --adapter runs/rte/merged/best --task rte --input dev.tsv --output rte.jsonl
  adamix predict --model finetuned-folder --input rows.jsonl --output predictions.jsonl")]
pub struct Predict {
    /// The base model: a Hugging Face folder, or `embedded`.
    #[arg(long, value_name = "HF_DIR")]
    model: PathBuf,
    /// A run whose best state is used.
    #[arg(long, value_name = "RUN", conflicts_with = "adapter")]
    run: Option<PathBuf>,
    /// An adapter folder; one with several experts is merged by their mean.
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
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
        let base = Base::open(&self.model)?;
        let task = self.task.as_deref().map(Task::by_name).transpose()?;
        let examples = self.read(task)?;
        let encodings = encode(&base.tokenizer, &examples, base.max_length(self.max_length))?;
        let lines = if self.run.is_none() && self.adapter.is_none() && base.config.is_masked_lm() {
            masked(&base, &examples, &encodings, &device)?
        } else {
            self.classified(&base, task, &examples, &encodings, &device)?
        };
        let mut text = String::new();
        for line in &lines {
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

    fn classified(
        &self,
        base: &Base,
        task: Option<&Task>,
        examples: &[Example],
        encodings: &[Encoding],
        device: &Device,
    ) -> Result<Vec<Value>> {
        let (model, mut labels) = match self.adapter_folder()? {
            Some(folder) => {
                let (adapted, config) = base.with_adapter(&folder, device)?;
                (adapted.model, config.labels)
            }
            None => own_head(base, device)?,
        };
        if let Some(task) = task.filter(|task| !task.labels.is_empty()) {
            labels = task.labels.clone();
        }
        let mode = Mode {
            inference: Inference::Merged,
            rule: &Uniform {},
            key: Key::new(0),
            batch_size: self.batch_size,
        };
        let evaluator = Evaluator::new(&model, base, &mode, device)?;
        let progress = show::progress();
        progress.set_length(examples.len() as u64);
        let predictions = evaluator.predict(examples, encodings, &show::rows(&progress))?;
        progress.finish_and_clear();
        let line = |((row, logits), encoding): ((&u32, &Vec<f32>), &Encoding)| {
            let label = match logits.as_slice() {
                [score] => json!(score),
                _ => {
                    let class = crate::recipe::argmax(logits) as usize;
                    labels.get(class).map_or(json!(class), |name| json!(name))
                }
            };
            json!({"row": row, "input_ids": encoding.ids, "logits": logits, "label": label})
        };
        Ok(predictions
            .rows
            .iter()
            .zip(&predictions.logits)
            .zip(encodings)
            .map(line)
            .collect())
    }

    /// The adapter to use: a run's merged best state, or its trained one where the policy is not merged.
    fn adapter_folder(&self) -> Result<Option<PathBuf>> {
        let Some(run) = &self.run else {
            return Ok(self.adapter.clone());
        };
        let folder = RunFolder::open(run)?;
        let policy = routing::policy(&folder.config()?.routing.policy)
            .context("the run's routing policy")?;
        let state = if policy.native_inference() == Inference::Merged {
            "merged/best"
        } else {
            "adapter/best"
        };
        Ok(Some(folder.file(state)))
    }
}

/// A fine-tuned folder's own head and class names.
fn own_head(base: &Base, device: &Device) -> Result<(SequenceClassifier, Vec<String>)> {
    let shape = base
        .weights
        .shape("classifier.out_proj.weight")
        .or_else(|| base.weights.shape("classifier.weight"));
    let outputs = shape.and_then(|shape| shape.first()).copied().unwrap_or(0);
    ensure!(
        outputs > 0,
        "{}: this model has no classification head; give --run or --adapter",
        base.folder.display()
    );
    let config = SequenceClassifierConfig {
        encoder: base.config.clone(),
        outputs,
        pooling: Pooling::Pooler,
    };
    let model = config.load(&base.weights, Key::new(0), true, device)?;
    let names = (0..outputs)
        .filter_map(|i| base.config.id2label.get(&i.to_string()).cloned())
        .collect();
    Ok((model, names))
}

/// Vocabulary logits at the mask tokens of each row.
fn masked(
    base: &Base,
    examples: &[Example],
    encodings: &[Encoding],
    device: &Device,
) -> Result<Vec<Value>> {
    let mask = base
        .tokenizer
        .mask_id
        .context("the tokenizer has no mask token")?;
    let model = MaskedLm::load(&base.config, &base.weights, device)?;
    let lengths: Vec<u32> = encodings.iter().map(|e| e.len() as u32).collect();
    let mut lines = vec![Value::Null; examples.len()];
    for indices in plan_evaluation(&lengths, 1) {
        let index = indices[0] as usize;
        let (example, encoding) = (&examples[index], &encodings[index]);
        let batch = collate(&[(example.id, encoding)], base.tokenizer.pad_id, None);
        let input = EncoderInput::new(
            &base.config,
            &batch.ids,
            &batch.type_ids,
            &batch.mask,
            batch.seq,
            device,
        );
        let places: Vec<i32> = (0..batch.seq as i32)
            .filter(|i| batch.ids[*i as usize] == mask as i32)
            .collect();
        let logits: Vec<Vec<f32>> = if places.is_empty() {
            Vec::new()
        } else {
            let found = model.forward(
                &input,
                Tensor::<1, Int>::from_data(places.as_slice(), device),
                &Pass::EVALUATION,
            );
            let values: Vec<f32> = found.into_data().try_into_vec().expect("f32 logits");
            values
                .chunks(base.config.vocab_size)
                .map(<[f32]>::to_vec)
                .collect()
        };
        let best: Vec<Option<String>> = logits
            .iter()
            .map(|l| base.tokenizer.id_to_token(crate::recipe::argmax(l)))
            .collect();
        lines[index] = json!({
            "row": example.id, "input_ids": encoding.ids, "mask_positions": places, "logits": logits, "label": best,
        });
    }
    Ok(lines)
}
