//! Training on a generation data set, from a config to a whole run folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use adamix_core::optimizer::AdamW;
use adamix_data::nlg::{Corpus, encode, prompts};
use adamix_keys::Key;
use adamix_models::gpt2::Gpt2;
use adamix_models::hub::fault;
use adamix_models::site::Adaptable;
use anyhow::{Context, Result};

use super::super::attach::check_room;
use super::super::driver::{Driver, Training};
use super::super::ending::{Ending, Outcome, Told};
use super::super::mode::Mode;
use super::super::plan::Plan;
use super::super::sitting::Sitting;
use super::base::DecoderBase;
use super::data::GenerationData;
use super::decode::{Decoding, Text, write_texts};
use super::measure::LossOn;
use super::score::score;
use super::step::Trainer;
use super::training::{SELECTION, TextGeneration};
use crate::config::RunConfig;
use crate::interrupt::{Interrupted, Stopped};
use crate::run::{Identity, RunFolder, Started, Tested};

/// Trains, measures, decodes the test split and scores it; see [`super::super::train`].
///
/// # Errors
/// As there.
pub fn train(
    config: &RunConfig,
    corpus: Corpus,
    out: Option<&Path>,
    sitting: &Sitting,
) -> Result<Outcome> {
    let started = Instant::now();
    let device = crate::device::open(&sitting.device)?.autodiff();
    let base = DecoderBase::open(&config.model_folder()?)?;
    let data = GenerationData::load(config, corpus)?;
    // What does not fit is found before a folder is begun.
    let max_length = base.longest_input(config);
    check_room(max_length, config)?;
    let adapted = base.adapted(config, &device)?;
    let rule = config.merging.rule_for(&adapted.model)?;
    let key = Key::new(config.seed).purpose("generation");
    let decoding = Decoding::new(&config.generation, &base, key);
    decoding.room(&adapted.model)?;
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

    let completions =
        encode(&base.tokenizer, &data.train, max_length).with_context(|| data.named("training"))?;
    let held = encode(&base.tokenizer, &data.dev, max_length)
        .with_context(|| data.named("development"))?;
    let description = adapted.describe(config, &base, corpus, false);
    let ending = Ending {
        config,
        folder: &folder,
        adapted: &adapted,
        description: &description,
        rule: rule.as_ref(),
        serve: &|adapted, path| {
            let merged = adapted.describe(config, &base, corpus, true);
            adapted.save_served(path, &merged, &base)
        },
    };
    ending.initial()?;

    let policy = config.routing.policy()?;
    let mode = Mode::of(config, rule.as_ref(), key)?;
    let trainer = Trainer {
        config,
        pairs: &data.train,
        completions: &completions,
        max_length,
        policy: policy.as_ref(),
        sites: adapted.model.sites(),
        device: &device,
    };
    let plain_device = device.clone().without_autodiff();
    let lengths = completions.iter().map(|c| c.len() as u32).collect();
    let training = TextGeneration {
        trainer: &trainer,
        plan: Plan::new(config, lengths),
        dev: LossOn {
            pairs: &data.dev,
            completions: &held,
            device: &plain_device,
        },
        mode: mode.clone(),
    };
    let driver = Driver {
        training: &training,
        run: folder.path(),
        store: &mut store,
        every: &config.checkpoint,
        sitting,
        device: &device,
        initial: &adapted,
        work_follows: true,
    };
    let finished = driver.run(AdamW::new(config.optimizer.adamw()), started)?;

    let inputs: Vec<String> = data
        .test
        .iter()
        .map(|input| input.context.clone())
        .collect();
    let inputs = prompts(&base.tokenizer, &inputs)?;
    let generate = |model: &Gpt2| -> Result<Vec<Text>> {
        let model = mode.ready(model)?;
        let progress = &sitting.progress;
        progress.set_length(inputs.len() as u64);
        progress.set_position(0);
        progress.set_message("test split");
        let watch = |done| {
            progress.inc(done as u64);
            fault::point("decode");
            Ok(sitting.interrupt.check()?)
        };
        let texts = decoding.run(&model, &mode, &inputs, &watch);
        texts.map_err(|error| match error.downcast_ref::<Interrupted>() {
            Some(Interrupted(signal)) => Stopped {
                signal,
                step: training.steps(),
                steps: training.steps(),
            }
            .into(),
            None => error,
        })
    };
    let mut test: BTreeMap<String, Tested> = BTreeMap::new();
    let states = ending.states(finished, &trainer.sites, |name, adapted, ()| {
        if config.generation.states.names().contains(&name) {
            let texts = generate(&adapted.model)?;
            let mut lines = folder.lines(&format!("predictions/{name}.jsonl"))?;
            for (input, text) in data.test.iter().zip(&texts) {
                lines.write(&serde_json::json!({
                    "context": input.context, "text": text.text, "score": text.score,
                }))?;
            }
            lines.flush()?;
            write_texts(&folder.file(&format!("predictions/{name}.txt")), &texts)?;
            if data.test.iter().any(|input| !input.references.is_empty()) {
                let scores = score(corpus, &data.test, &texts, &config.generation)?;
                test.insert(name.to_owned(), scores);
            }
        }
        Ok(())
    })?;
    let rows = [
        ("train", data.train.len()),
        ("dev", data.dev.len()),
        ("test", data.test.len()),
    ];
    let told = Told {
        identity,
        task: corpus.name().to_owned(),
        selection: SELECTION.to_owned(),
        inference: mode.inference,
        test,
        rows: rows.map(|(name, count)| (name.to_owned(), count)).into(),
        device: sitting.device.clone(),
        unused_tensors: base.unused(&adapted.model),
    };
    let result = ending.result(states, told, store)?;
    Ok(Outcome {
        folder: path,
        result,
        repeated: false,
    })
}
