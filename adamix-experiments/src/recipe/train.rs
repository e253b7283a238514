//! Training from a config to a whole run folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use adamix_core::optimizer::AdamW;
use adamix_models::site::Adaptable;
use anyhow::Result;

use super::attach::check_room;
use super::base::Base;
use super::classification::{Classification, Measure};
use super::data::TaskData;
use super::driver::Driver;
use super::ending::{Ending, Outcome, Told};
use super::generation;
use super::prompted::Prompted;
use super::sitting::Sitting;
use super::step::Trainer;
use crate::config::RunConfig;
use crate::run::{Identity, RunFolder, Started};

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
    check_room(base.longest_input(config), config)?;
    Prompted::of(config, &data.task, &base)?;
    let adapted = base.adapted(config, &data.task, &device)?;
    let rule = config.merging.rule_for(&adapted.model)?;
    let identity = Identity::new(config, &base.fingerprint(), &data.hash);
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
    let merged = adapted.describe(config, &base, &data.task, true)?;
    let ending = Ending {
        config,
        folder: &folder,
        adapted: &adapted,
        description: &description,
        rule: rule.as_ref(),
        serve: &|adapted, path| adapted.save_served(path, &merged, &base),
    };
    ending.initial()?;

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
        work_follows: false,
    };
    let finished = driver.run(AdamW::new(config.optimizer.adamw()), started)?;

    let floor = config.evaluation.regression_floor;
    let states = ending.states(finished, &trainer.sites, |name, _, predictions| {
        let lines = folder.lines(&format!("predictions/{name}.jsonl"))?;
        predictions.write(&data.task, floor, lines)
    })?;
    let rows = [("train", data.train.len()), ("dev", data.dev.len())];
    let told = Told {
        identity,
        task: data.task.name.clone(),
        selection: data.task.selection.name().to_owned(),
        inference: measure.inference,
        test: BTreeMap::new(),
        rows: rows.map(|(name, count)| (name.to_owned(), count)).into(),
        device: sitting.device.clone(),
        unused_tensors: base.weights.unused(),
    };
    let result = ending.result(states, told, store)?;
    Ok(Outcome {
        folder: path,
        result,
        repeated: false,
    })
}
