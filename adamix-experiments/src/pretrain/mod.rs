//! Pretraining of small models, or of more of one that is there, read top to bottom: [`run`] goes from a
//! config and a folder of texts to a Hugging Face folder.
//!
//! Everything random is a function of the seed and of an epoch, row or parameter name, so that a run that
//! was stopped goes on from its checkpoint to the same bytes.

mod batch;
mod config;
mod corpus;
mod masking;
mod measure;
mod model;
mod objective;
mod order;
mod record;
mod sources;
mod tokenizer;
mod training;
mod vocabulary;

use std::path::Path;
use std::time::Instant;

use adamix_core::optimizer::{AdamW, AdamWConfig};
use adamix_core::parameter;
use adamix_data::fingerprint;
use adamix_keys::Key;
use adamix_models::encoder::MaskedLm;
use adamix_models::gpt2::Gpt2;
use adamix_models::hub::{Weights, fault, write};
use anyhow::{Result, bail, ensure};

pub use config::{
    BaseConfig, CorpusConfig, Masking, ModelConfig, PretrainConfig, Trained, TrainingConfig,
};
pub use objective::Objective;
pub use record::{DataRecord, HeldOut, Point, Record};

use crate::checkpoint::{Store, lock};
use crate::config::Checkpoint;
use crate::recipe::{Adapted, Driver, Sitting};
use measure::{Measure, Unigram};
use model::LanguageModel;
use order::Plan;
use sources::{Sources, Texts};
use training::Pretraining;
use vocabulary::Vocabulary;

/// Pretrains a model into the folder `out`: `config.json`, its tokenizer, `model.safetensors` (in 16 bits, or in
/// 32 where there is a base, whose frozen part stays as it was), `metrics.jsonl` and, last of all, `pretrain.json`.
///
/// A run that was stopped goes on from its last checkpoint, also with another number of steps if its schedule
/// agrees on the steps that are done; one that is finished is not run again.
///
/// # Errors
/// If a file is at fault, `out` belongs to another pretraining or another program, a loss or gradient is not
/// finite, or a stop is asked for.
pub fn run(config: &PretrainConfig, out: &Path, sitting: &Sitting) -> Result<Record> {
    config.check()?;
    match config.objective {
        Objective::Masked => pretrain::<MaskedLm>(config, out, sitting),
        Objective::Causal => pretrain::<Gpt2>(config, out, sitting),
    }
}

/// Refuses a folder with other files than a pretraining leaves that never came to its first checkpoint.
fn refuse_foreign(out: &Path) -> Result<()> {
    const OURS: [&str; 4] = [lock::FILE, "checkpoint", "metrics.jsonl", "timings.jsonl"];
    let of_tokenizer = |name: &str| sources::TOKENIZER_FILES.contains(&name);
    for entry in out.read_dir().into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let known = OURS.contains(&name.as_str()) || of_tokenizer(&name);
        ensure!(
            known || name.ends_with(".tmp"),
            "{}: holds `{name}`, which no pretraining left; choose another folder",
            out.display()
        );
    }
    Ok(())
}

fn pretrain<M: LanguageModel>(
    config: &PretrainConfig,
    out: &Path,
    sitting: &Sitting,
) -> Result<Record> {
    let started = Instant::now();
    let device = crate::device::open(&sitting.device)?.autodiff();
    let sources = Sources::find(config)?;
    let identity = sources.identity(config)?;
    if let Some(record) = whole(out, &identity)? {
        return Ok(record);
    }
    let mut store = Store::claim(out, sources.origin(config)?)?;
    // Another program may have ended it before the folder was free.
    if let Some(record) = whole(out, &identity)? {
        return Ok(record);
    }
    let position = store.position()?;
    match position {
        Some(at) => record::expect_schedule(out, at.step, &config.training)?,
        None => refuse_foreign(out)?,
    }

    sitting.progress.set_message("reading the corpus");
    let texts = Texts::read(config, out, &sources, position.is_none())?;
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
    let model = match (&sources.base, &config.base) {
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
    let initial = Adapted::new(model);
    let parameters = initial.account().trained;
    let training = Pretraining {
        config,
        dimensions: &dimensions,
        plan: Plan {
            config,
            vocabulary,
            rows: &texts.rows,
            train: &train,
        },
        measure: &measure,
        held_out: &held_out,
        device: &device,
    };
    let driver = Driver {
        training: &training,
        run: out,
        store: &mut store,
        every: &Checkpoint {
            steps: config.training.checkpoint_steps,
            ..Checkpoint::default()
        },
        sitting,
        device: &device,
        initial: &initial,
        work_follows: false,
    };
    let optimizer = AdamW::new(AdamWConfig {
        beta2: config.training.beta2,
        weight_decay: config.training.weight_decay,
        ..AdamWConfig::default()
    });
    let finished = driver.run(optimizer, started)?;

    // What is measured is what is written, read back.
    let trained = initial.with_values(finished.last.values)?;
    save_model(config, out, &dimensions, vocabulary, &trained.model)?;
    let model = M::load(&dimensions, &Weights::open(out)?, &device)?;
    let mut measurements = vec![measure.run("corpus", &model, &texts.rows, &held_out)];
    if let Some((name, rows)) = &texts.further {
        let all: Vec<u32> = (0..rows.len() as u32).collect();
        measurements.push(measure.run(name, &model, rows, &all));
    }
    let curve = record::curve(out)?;
    let steps = config.training.steps;
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
        training_loss: curve.last().map_or(f64::NAN, |p| p.training_loss),
        held_out: measurements,
        curve,
        seconds: finished.clocks.training + finished.clocks.evaluation,
        model_hash: fingerprint(&[out.join("model.safetensors")])?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        base_hash: sources.base_hash()?,
        config: config.clone(),
    };
    let text = format!("{}\n", serde_json::to_string_pretty(&record)?);
    write::atomic(&out.join(record::FILE), text.as_bytes())?;
    fault::point("finished");
    store.remove()?;
    Ok(record)
}

/// The record of this very pretraining, if the folder holds it.
fn whole(out: &Path, identity: &str) -> Result<Option<Record>> {
    let record = Record::read(out)?;
    if let Some(record) = &record {
        ensure!(
            record.identity == identity,
            "{}: holds the model of another pretraining; choose another folder",
            out.display()
        );
        Store::discard(out);
    }
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
