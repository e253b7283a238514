//! Training from a config to a whole run folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use adamix_core::optimizer::AdamW;
use adamix_models::hub::{adapter, fault, write};
use adamix_models::site::Adaptable;
use anyhow::Result;

use super::base::Base;
use super::classification::{Classification, Measure};
use super::data::TaskData;
use super::driver::Driver;
use super::generation;
use super::prompted::Prompted;
use super::sitting::Sitting;
use super::step::Trainer;
use crate::config::RunConfig;
use crate::run::{Identity, RunFolder, RunResult, Started};

/// How a call of [`train`] ended.
#[derive(Debug)]
pub struct Outcome {
    /// The run's folder.
    pub folder: PathBuf,
    /// Its result.
    pub result: RunResult,
    /// Whether the run was already there.
    pub repeated: bool,
}

/// Runs a config to its end, from its checkpoint if it was interrupted, or finds that it already ran.
///
/// `out` is the run's folder; without it, `runs/<id>`.
///
/// # Errors
/// If a file is at fault, a loss is not finite, another program has the folder, or a stop is asked for
/// ([`crate::interrupt::Stopped`]). A folder without `result.json` is no run yet.
pub fn train(config: &RunConfig, out: Option<&Path>, sitting: &Sitting) -> Result<Outcome> {
    if let Some(corpus) = config.corpus() {
        return generation::train(config, corpus, out, sitting);
    }
    let started = Instant::now();
    let device = crate::device::open(&sitting.device)?.autodiff();
    let base = Base::open(&config.model_folder()?)?;
    let data = TaskData::load(config)?;
    // What does not fit is found before a folder is begun.
    Prompted::of(config, &data.task, &base)?;
    let adapted = base.adapted(config, &data.task, &device)?;
    let rule = config.merging.rule_for(&adapted.model)?;
    let identity = Identity::new(config, &base.hash, &data.hash);
    let path = out.map_or_else(|| Path::new("runs").join(&identity.id), Path::to_owned);
    let (folder, mut store) = match RunFolder::start(&path, config, &identity)? {
        Started::Mine(folder, store) => (folder, store),
        Started::Done(result) => {
            return Ok(Outcome {
                folder: path,
                result: *result,
                repeated: true,
            });
        }
    };

    let max_length = base.longest_input(config);
    let train_tokens = base.read(config, &data.task, &data.train)?;
    let description = adapted.describe(config, &base, &data.task, false)?;
    if !folder
        .file("adapter/initial")
        .join(adapter::CONFIG)
        .is_file()
    {
        adapted.save(&folder.file("adapter/initial"), &description)?;
    }

    let policy = config.routing.policy()?;
    let trainer = Trainer {
        config,
        encoder: &base.config.clone().with_dropout(config.backbone.dropout),
        task: &data.task,
        examples: &data.train,
        encodings: &train_tokens,
        pad_id: base.tokenizer.pad_id,
        max_length,
        policy: policy.as_ref(),
        sites: adapted.model.sites(),
        device: &device,
    };
    let native = policy.native_inference();
    let measure = Measure::new(config, &base, &data, &device, rule.as_ref(), native)?;
    let driver = Driver {
        training: &Classification::new(config, &trainer, &measure),
        run: folder.path(),
        store: &mut store,
        every: &config.checkpoint,
        sitting,
        device: &device,
        initial: &adapted,
    };
    let finished = driver.run(AdamW::new(config.optimizer.adamw()), started)?;

    let finishing = Instant::now();
    let merged_description = adapted.describe(config, &base, &data.task, true)?;
    let best = finished.best.expect("the first epoch is the best so far");
    let mut measured = Vec::new();
    for (name, state) in [("best", best), ("last", finished.last)] {
        let adapted = adapted.with_values(state.values)?;
        adapted.save(&folder.file(&format!("adapter/{name}")), &description)?;
        fault::point("adapter");
        let merged = adapted.with_model(adapted.model.merged(rule.as_ref())?);
        merged.save_served(
            &folder.file(&format!("merged/{name}")),
            &merged_description,
            &base,
        )?;
        let lines = folder.lines(&format!("predictions/{name}.jsonl"))?;
        state
            .predictions
            .write(&data.task, config.evaluation.regression_floor, lines)?;
        measured.push(state.measured);
    }
    let last = measured.pop().expect("two states");
    let best = measured.pop().expect("two states");
    crate::plot::learning_curve(&folder)?;
    if trainer.sites.iter().any(|site| site.down.max(site.up) > 1) {
        let figures = serde_json::to_string_pretty(&finished.usage.figures())? + "\n";
        write::atomic(&folder.file("routing.json"), figures.as_bytes())?;
    }

    let account = adapted.account();
    let clocks = finished.clocks;
    let parts = [
        ("preparation", clocks.preparation),
        ("training", clocks.training),
        ("evaluation", clocks.evaluation),
        ("finishing", finishing.elapsed().as_secs_f64()),
    ];
    let mut seconds: BTreeMap<String, f64> =
        parts.map(|(name, part)| (name.to_owned(), part)).into();
    seconds.insert("total".to_owned(), parts.iter().map(|(_, part)| part).sum());
    let result = RunResult {
        identity,
        task: data.task.name.clone(),
        method: config.adaptation.method.to_string(),
        selection: data.task.selection.name().to_owned(),
        inference: measure.inference,
        best,
        last,
        test: BTreeMap::new(),
        rows: BTreeMap::from([
            ("train".to_owned(), data.train.len()),
            ("dev".to_owned(), data.dev.len()),
        ]),
        parameters: account.into(),
        stored_bytes: account.stored_bytes(),
        seconds,
        device: sitting.device.clone(),
        unused_tensors: base.weights.unused(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    folder.finish(&result)?;
    fault::point("finished");
    store.remove()?;
    Ok(Outcome {
        folder: path,
        result,
        repeated: false,
    })
}
