//! Pretraining of a small RoBERTa by masked language modelling, read top to bottom: [`run`] goes from a
//! config and a folder of texts to a Hugging Face folder.
//!
//! Everything random is a function of the seed and of an epoch, row or parameter name, so that a run that
//! was stopped goes on from its checkpoint to the same bytes.

mod checkpoint;
mod config;
mod corpus;
mod initialise;
mod masking;
mod measure;
mod record;
mod tokenizer;

use std::path::{Path, PathBuf};
use std::time::Instant;

use adamix_core::objective::Targets;
use adamix_core::optimizer::{self, AdamW, AdamWConfig};
use adamix_core::parameter;
use adamix_data::{Tokenizer, fingerprint};
use adamix_keys::Key;
use adamix_models::encoder::{EncoderConfig, MaskedLm};
use adamix_models::hub::{Source, Weights, write};
use anyhow::{Result, bail, ensure};
use burn::tensor::Device;

pub use config::{CorpusConfig, Masking, ModelConfig, PretrainConfig, TrainingConfig};
pub use record::{DataRecord, HeldOut, Point, Record};

use crate::config::{FirstRate, Schedule, resolve_path};
use crate::recipe::learning_rate;
use checkpoint::State;
use corpus::Rows;
use masking::Masked;
use measure::{Measure, Unigram};

/// Raised by hand when the same config would no longer give the same model.
const SEMANTICS: u32 = 1;

/// What [`run`] tells while it runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// The corpus is being read, and the vocabulary learned if there is none yet.
    Reading,
    /// The rows are packed; training goes on after this step of so many.
    Packed {
        /// Rows to train on.
        rows: usize,
        /// Steps that a checkpoint had.
        step: usize,
        /// Steps in all.
        steps: usize,
    },
    /// A step was taken.
    Step {
        /// From 1.
        step: usize,
        /// Its loss, in nats a predicted token.
        loss: f64,
    },
    /// A checkpoint was written.
    Checkpoint(Point),
    /// The finished model was measured.
    Measured(HeldOut),
}

/// Pretrains an encoder into the folder `out`: `config.json`, `tokenizer.json`, `tokenizer_config.json`,
/// `model.safetensors` in 16 bits and, last of all, `pretrain.json`.
///
/// A run that was stopped goes on from its last checkpoint; one that is finished is not run again.
///
/// # Errors
/// If a file is at fault, `out` belongs to another pretraining, or a loss or gradient is not finite.
pub fn run(
    config: &PretrainConfig,
    out: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Record> {
    config.check()?;
    let device = Device::flex().autodiff();
    let sources = Sources::find(config)?;
    let identity = sources.identity(config)?;
    if let Some(record) = Record::read(out)? {
        ensure!(
            record.identity == identity,
            "{}: holds the model of another pretraining; choose another folder",
            out.display()
        );
        return Ok(record);
    }
    let state = checkpoint::read_state(out)?;
    if let Some(state) = &state {
        ensure!(
            state.identity == identity,
            "{}: holds an unfinished pretraining of another config or corpus; choose another folder",
            out.display()
        );
    }

    progress(Progress::Reading);
    let texts = Texts::read(config, out, &sources, state.is_none())?;
    let encoder = config.encoder(texts.tokenizer.vocab_size());
    let (train, held_out) = texts.rows.split(config.corpus.held_out_rows)?;
    let unigram = Unigram::new(&texts.rows, &train, encoder.vocab_size);
    let key = Key::new(config.seed);
    let measure = Measure {
        encoder: &encoder,
        unigram: &unigram,
        key: key.purpose("held-out"),
        device: &device,
    };

    let fresh = Source::random(key.purpose("initialisation"), &device);
    let mut model = initialise::informed(
        MaskedLm::build(&encoder, &fresh)?,
        &encoder,
        unigram.log_frequencies(),
    )?;
    let parameters: usize = parameter::parameters(&model)
        .iter()
        .map(parameter::ParameterInfo::count)
        .sum();
    let mut optimizer = AdamW::new(AdamWConfig {
        beta2: config.training.beta2,
        weight_decay: config.training.weight_decay,
        ..AdamWConfig::default()
    });
    let mut state = match state {
        Some(state) => {
            model = checkpoint::restore(out, &state, model, &mut optimizer, &device)?;
            state
        }
        None => State::new(identity.clone()),
    };
    let steps = config.training.steps;
    progress(Progress::Packed {
        rows: train.len(),
        step: state.step,
        steps,
    });

    let mut plan = Plan::new(config, &texts.rows, &train, encoder.vocab_size);
    let mut clock = Instant::now();
    let mut losses = Vec::new();
    while state.step < steps {
        state.step += 1;
        let batch = plan.batch(state.step);
        let rate = rate(config, state.step);
        let (moved, loss) = step(
            config,
            &encoder,
            model,
            &mut optimizer,
            batch,
            rate,
            &device,
        )
        .map_err(|e| e.context(format!("step {}", state.step)))?;
        model = moved;
        losses.push(loss);
        progress(Progress::Step {
            step: state.step,
            loss,
        });
        if state.step % config.training.checkpoint_steps == 0 || state.step == steps {
            let measured = measure.run("corpus", &model, &texts.rows, &held_out);
            let point = Point {
                step: state.step,
                training_loss: losses.iter().sum::<f64>() / losses.len() as f64,
                held_out_loss: measured.loss,
            };
            losses.clear();
            state.curve.push(point);
            state.seconds += clock.elapsed().as_secs_f64();
            clock = Instant::now();
            checkpoint::save(out, state.clone(), &model, &optimizer)?;
            progress(Progress::Checkpoint(point));
        }
    }

    // What is measured is what is written: the weights in 16 bits, read back.
    save_model(out, &encoder, &model)?;
    let model = MaskedLm::load(&encoder, &Weights::open(out)?, &device)?;
    let mut measurements = vec![measure.run("corpus", &model, &texts.rows, &held_out)];
    if let Some((name, rows)) = &texts.further {
        let all: Vec<u32> = (0..rows.len() as u32).collect();
        measurements.push(measure.run(name, &model, rows, &all));
    }
    for measured in &measurements {
        progress(Progress::Measured(measured.clone()));
    }
    let tokens = config.training.tokens;
    let seen = steps * config.training.batch_size;
    let record = Record {
        identity,
        data: DataRecord {
            files: sources.files.len(),
            bytes: sources.bytes()?,
            hash: fingerprint(&sources.files)?,
            paragraphs: texts.paragraphs,
            rows: train.len(),
            tokens: train.len() * tokens,
        },
        parameters,
        steps,
        tokens: seen * tokens,
        epochs: seen as f64 / train.len() as f64,
        training_loss: state.curve.last().map_or(f64::NAN, |p| p.training_loss),
        held_out: measurements,
        curve: state.curve,
        seconds: state.seconds,
        model_hash: fingerprint(&[out.join("model.safetensors")])?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config: config.clone(),
    };
    let text = format!("{}\n", serde_json::to_string_pretty(&record)?);
    write::atomic(&out.join(record::FILE), text.as_bytes())?;
    checkpoint::remove(out)?;
    Ok(record)
}

/// The files that a config names.
struct Sources {
    files: Vec<PathBuf>,
    further: Option<PathBuf>,
}

impl Sources {
    fn find(config: &PretrainConfig) -> Result<Self> {
        let paths: Vec<PathBuf> = config
            .corpus
            .paths
            .iter()
            .map(|path| resolve_path(path))
            .collect::<Result<_>>()?;
        let further = config.corpus.held_out_file.as_deref();
        let further = further.map(resolve_path).transpose()?;
        if let Some(path) = &further {
            ensure!(
                path.is_file(),
                "{}: no such file; it is `corpus.held_out_file`, which may be left out",
                path.display()
            );
        }
        Ok(Self {
            files: corpus::files(&paths)?,
            further,
        })
    }

    /// What decides the outcome. Paths do not: the files' contents do.
    fn identity(&self, config: &PretrainConfig) -> Result<String> {
        let mut plain = config.clone();
        plain.corpus.paths.clear();
        plain.corpus.held_out_file = None;
        let mut whole = format!("{SEMANTICS}\n{}\n", fingerprint(&self.files)?);
        if let Some(path) = &self.further {
            whole += &fingerprint(std::slice::from_ref(path))?;
        }
        whole += &toml::to_string(&plain)?;
        Ok(blake3::hash(whole.as_bytes()).to_hex()[..16].to_owned())
    }

    fn bytes(&self) -> Result<u64> {
        let mut bytes = 0;
        for path in &self.files {
            bytes += std::fs::metadata(path)?.len();
        }
        Ok(bytes)
    }
}

/// The texts as rows, with the tokenizer that made them.
struct Texts {
    tokenizer: Tokenizer,
    paragraphs: usize,
    rows: Rows,
    /// The held-out file, by its last two names.
    further: Option<(String, Rows)>,
}

impl Texts {
    /// Reads all texts; `fresh` learns the vocabulary first, otherwise that of the folder is taken.
    fn read(config: &PretrainConfig, out: &Path, sources: &Sources, fresh: bool) -> Result<Self> {
        let mut paragraphs = Vec::new();
        for file in &sources.files {
            paragraphs.append(&mut corpus::paragraphs(file)?);
        }
        let tokens = config.training.tokens;
        if fresh {
            tokenizer::train(out, &paragraphs, config.model.vocab_size, tokens)?;
        }
        let tokenizer = Tokenizer::from_folder(out)?;
        let pack = |paragraphs: &[String]| -> Result<Rows> {
            let ids = corpus::encode(&tokenizer, paragraphs)?;
            Ok(Rows::pack(&ids, tokens, tokenizer.cls_id, tokenizer.sep_id))
        };
        let further = match &sources.further {
            Some(path) => {
                let names: Vec<_> = path
                    .iter()
                    .rev()
                    .take(2)
                    .map(|n| n.to_string_lossy())
                    .collect();
                let name: Vec<&str> = names.iter().rev().map(|n| n.as_ref()).collect();
                Some((name.join("/"), pack(&corpus::paragraphs(path)?)?))
            }
            None => None,
        };
        Ok(Self {
            paragraphs: paragraphs.len(),
            rows: pack(&paragraphs)?,
            further,
            tokenizer,
        })
    }
}

/// Which rows a step reads and what is hidden in them.
struct Plan<'a> {
    config: &'a PretrainConfig,
    rows: &'a Rows,
    train: &'a [u32],
    vocab_size: usize,
    /// The epoch whose order was last needed, with it.
    order: Option<(usize, Vec<u32>)>,
}

impl<'a> Plan<'a> {
    fn new(
        config: &'a PretrainConfig,
        rows: &'a Rows,
        train: &'a [u32],
        vocab_size: usize,
    ) -> Self {
        Self {
            config,
            rows,
            train,
            vocab_size,
            order: None,
        }
    }

    /// The rows of a step (from 1): epoch after epoch, each in its own order and with its own masks.
    fn batch(&mut self, step: usize) -> Masked {
        let key = Key::new(self.config.seed);
        let size = self.config.training.batch_size;
        let mut masked = Masked::default();
        for i in (step - 1) * size..step * size {
            let (epoch, place) = (i / self.train.len(), i % self.train.len());
            if self.order.as_ref().is_none_or(|(known, _)| *known != epoch) {
                let order = key.purpose("order").fold(epoch as u64);
                self.order = Some((epoch, order.permutation(self.train.len())));
            }
            let (_, order) = self.order.as_ref().expect("just filled");
            let row = self.train[order[place] as usize];
            let key = key
                .purpose("masking")
                .fold(epoch as u64)
                .fold(u64::from(row));
            masked.push(
                self.rows.row(row),
                self.vocab_size,
                &self.config.masking,
                key,
            );
        }
        masked
    }
}

/// The learning rate of a step (from 1).
fn rate(config: &PretrainConfig, step: usize) -> f64 {
    let schedule = Schedule {
        warmup_ratio: config.training.warmup_ratio,
        first_rate: FirstRate::Step,
        ..Schedule::default()
    };
    // One more than there are: the last step still moves.
    let total = config.training.steps + 1;
    learning_rate(&schedule, config.training.learning_rate, step, total)
}

/// One optimiser step, and its loss. The model has not moved if there is an error.
fn step(
    config: &PretrainConfig,
    encoder: &EncoderConfig,
    model: MaskedLm,
    optimizer: &mut AdamW,
    batch: Masked,
    rate: f64,
    device: &Device,
) -> Result<(MaskedLm, f64)> {
    let logits = measure::logits(&model, encoder, &batch, config.training.tokens, device);
    let loss = Targets::Classes(batch.labels).loss(logits);
    let value = f64::from(loss.clone().into_scalar::<f32>());
    if !value.is_finite() {
        bail!("the loss is {value}; lower `training.learning_rate`");
    }
    let mut tape = loss.backward();
    let mut gradients = parameter::gradients(&model, &mut tape);
    let norm = optimizer::global_norm(&gradients);
    if !norm.is_finite() {
        bail!("the norm of the gradient is {norm}; lower `training.learning_rate`");
    }
    optimizer::clip_global_norm(&mut gradients, norm, config.training.max_grad_norm);
    Ok((optimizer.step(model, gradients, rate), value))
}

/// Writes `model.safetensors` and `config.json`.
fn save_model(out: &Path, encoder: &EncoderConfig, model: &MaskedLm) -> Result<()> {
    let tensors = parameter::export(model, |_| true);
    let path = out.join("model.safetensors");
    write::safetensors(&path, &tensors, write::Precision::F16)?;
    let mut config = serde_json::to_value(encoder)?;
    for (key, value) in [("bos_token_id", 0), ("eos_token_id", 2)] {
        config[key] = value.into();
    }
    // What to compute in, whatever the file is stored in.
    config["torch_dtype"] = "float32".into();
    let text = format!("{config:#}\n");
    write::atomic(&out.join("config.json"), text.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests;
