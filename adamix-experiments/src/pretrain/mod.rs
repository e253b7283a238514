//! Pretraining of small models, or of more of one that is there, read top to bottom: [`run`] goes from a
//! config and a folder of texts to a Hugging Face folder.
//!
//! Everything random is a function of the seed and of an epoch, row or parameter name, so that a run that
//! was stopped goes on from its checkpoint to the same bytes.

mod batch;
mod checkpoint;
mod config;
mod corpus;
mod masking;
mod measure;
mod model;
mod record;
mod sources;
mod tokenizer;
mod vocabulary;

use std::path::Path;
use std::time::Instant;

use adamix_core::objective::Targets;
use adamix_core::optimizer::{self, AdamW, AdamWConfig};
use adamix_core::parameter;
use adamix_data::fingerprint;
use adamix_keys::Key;
use adamix_models::encoder::MaskedLm;
use adamix_models::gpt2::Gpt2;
use adamix_models::hub::{Weights, write};
use anyhow::{Context, Result, bail, ensure};
use burn::tensor::Device;

pub use config::{
    BaseConfig, CorpusConfig, Masking, ModelConfig, Objective, PretrainConfig, Trained,
    TrainingConfig,
};
pub use record::{DataRecord, HeldOut, Point, Record};

use batch::{Batch, Plan};
use checkpoint::State;
use measure::{Measure, Unigram};
use model::LanguageModel;
use sources::{Sources, Texts};
use vocabulary::Vocabulary;

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

/// Pretrains a model into the folder `out`: `config.json`, its tokenizer, `model.safetensors` (in 16 bits, or in
/// 32 where there is a base, whose frozen part stays as it was) and, last of all, `pretrain.json`.
///
/// A run that was stopped goes on from its last checkpoint, also with another number of steps if its schedule
/// agrees on the steps that are done; one that is finished is not run again.
///
/// # Errors
/// If a file is at fault, `out` belongs to another pretraining, or a loss or gradient is not finite.
pub fn run(
    config: &PretrainConfig,
    out: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Record> {
    config.check()?;
    match config.objective {
        Objective::Masked => pretrain::<MaskedLm>(config, out, progress),
        Objective::Causal => pretrain::<Gpt2>(config, out, progress),
    }
}

fn pretrain<M: LanguageModel>(
    config: &PretrainConfig,
    out: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Record> {
    let device = Device::flex().autodiff();
    let sources = Sources::find(config)?;
    let identity = sources.identity(config)?;
    let trajectory = sources.trajectory(config)?;
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
            state.belongs_to(&trajectory, &config.training),
            "{}: holds an unfinished pretraining of another config or corpus; choose another folder",
            out.display()
        );
    }

    progress(Progress::Reading);
    let texts = Texts::read(config, out, &sources, state.is_none())?;
    let vocabulary = &texts.vocabulary;
    let (train, held_out) = texts.rows.split(config.corpus.held_out_rows)?;
    let dimensions = dimensions::<M>(config, &sources, vocabulary)?;
    let [size, _] = M::limits(&dimensions);
    let unigram = Unigram::new(&texts.rows, &train, vocabulary, size);
    let key = Key::new(config.seed);
    let measure = Measure::<M> {
        dimensions: &dimensions,
        objective: config.objective,
        vocabulary,
        unigram: &unigram,
        key: key.purpose("held-out"),
        device: &device,
    };

    let initialisation = key.purpose("initialisation");
    let frequencies = unigram.log_frequencies();
    let mut model = match (&sources.base, &config.base) {
        (Some(folder), Some(base)) => M::on_base(
            &dimensions,
            &Weights::open(folder)?,
            base.trained,
            initialisation,
            frequencies,
            &device,
        )?,
        _ => M::fresh(&dimensions, initialisation, frequencies, &device)?,
    };
    let parameters: usize = parameter::parameters(&model)
        .iter()
        .filter(|info| info.trainable)
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
        None => State::new(trajectory, config.training),
    };
    state.training = config.training;
    let steps = config.training.steps;
    progress(Progress::Packed {
        rows: train.len(),
        step: state.step,
        steps,
    });

    let mut plan = Plan {
        config,
        vocabulary,
        rows: &texts.rows,
        train: &train,
        order: None,
    };
    let mut clock = Instant::now();
    let mut losses = Vec::new();
    while state.step < steps {
        state.step += 1;
        let batch = plan.batch(state.step);
        let (moved, loss) = step(
            config,
            &dimensions,
            model,
            &mut optimizer,
            batch,
            state.step,
        )
        .with_context(|| format!("step {}", state.step))?;
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

    // What is measured is what is written, read back.
    save_model(config, out, &dimensions, vocabulary, &model)?;
    let model = M::load(&dimensions, &Weights::open(out)?, &device)?;
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
        base_hash: sources.base_hash()?,
        config: config.clone(),
    };
    let text = format!("{}\n", serde_json::to_string_pretty(&record)?);
    write::atomic(&out.join(record::FILE), text.as_bytes())?;
    checkpoint::remove(out)?;
    Ok(record)
}

/// The model's dimensions: those that the config asks for, or its base has.
fn dimensions<M: LanguageModel>(
    config: &PretrainConfig,
    sources: &Sources,
    vocabulary: &Vocabulary,
) -> Result<M::Dimensions> {
    let tokens = config.training.tokens;
    let dimensions = match (&config.model, &sources.base) {
        (Some(model), _) => M::dimensions(model, vocabulary, tokens),
        (None, Some(folder)) => M::read_dimensions(folder)?,
        (None, None) => bail!("neither `[model]` nor `[base]`"),
    };
    let [size, longest] = M::limits(&dimensions);
    ensure!(
        tokens <= longest,
        "`training.tokens` is {tokens}; the base model's longest input is {longest}"
    );
    let ids = vocabulary.tokenizer.vocab_size();
    ensure!(
        ids <= size,
        "the base model's tokenizer has {ids} tokens, its `config.json` says {size}"
    );
    Ok(dimensions)
}

/// One optimiser step (from 1), and its loss. The model has not moved if there is an error.
fn step<M: LanguageModel>(
    config: &PretrainConfig,
    dimensions: &M::Dimensions,
    model: M,
    optimizer: &mut AdamW,
    batch: Batch,
    step: usize,
) -> Result<(M, f64)> {
    let device = Device::flex().autodiff();
    let logits = model.logits(dimensions, &batch, config.training.tokens, &device);
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
    let rate = config.training.rate(step);
    Ok((optimizer.step(model, gradients, rate), value))
}

/// Writes `model.safetensors` and `config.json`.
fn save_model<M: LanguageModel>(
    config: &PretrainConfig,
    out: &Path,
    dimensions: &M::Dimensions,
    vocabulary: &Vocabulary,
    model: &M,
) -> Result<()> {
    let tensors = parameter::export(model, |_| true);
    let precision = if config.base.is_some() {
        write::Precision::F32
    } else {
        write::Precision::F16
    };
    write::safetensors(&out.join("model.safetensors"), &tensors, precision)?;
    let mut file = M::config_file(dimensions, vocabulary)?;
    // What to compute in, whatever the file is stored in.
    file["torch_dtype"] = "float32".into();
    let text = format!("{file:#}\n");
    write::atomic(&out.join("config.json"), text.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests;
