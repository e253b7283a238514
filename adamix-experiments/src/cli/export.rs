//! `adamix export`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use adamix_core::account::MARK;
use adamix_core::merging::{MergeRule, Uniform, Weighted};
use adamix_core::parameter::{self, HostTensor};
use adamix_core::routing::Inference;
use adamix_models::gpt2::{Gpt2, Gpt2Config};
use adamix_models::hub::adapter::{self, AdapterConfig};
use adamix_models::hub::card::{Card, Holds};
use adamix_models::hub::model_folder::{self, ModelCard};
use adamix_models::hub::peft::{self, Setting};
use adamix_models::hub::{
    self, Layout, StoredAdapter, Weights, affine_modules, fold, portable, write,
};
use adamix_models::site::Adaptable;
use anyhow::{Context, Result, bail, ensure};
use burn::tensor::Device;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::state::State;
use super::{number, output, show};
use crate::embedded;
use crate::recipe::Base;
use crate::run::{Metrics, RunFolder};

/// Write a run or an adapter for Python's peft, or as a whole model for transformers.
#[derive(Debug, Args)]
#[command(after_help = "\
A mixture is merged by the run's rule first (an adapter's by the mean), or --expert takes one expert alone. LoRA, (IA)³ and \
prefixes go to a folder that Python's peft loads with the same logits; other adapters to one of the same two files under \
this program's names, which `adamix predict --adapter` reads. A whole model has the adaptation folded into its weights; \
what cannot be folded, such as a bottleneck adapter, is refused.

Examples:
  adamix export runs/mrpc --to peft --out mrpc-adapter
  adamix export runs/mrpc --to peft --expert 2 --out mrpc-expert-2
  adamix export runs/mrpc --to transformers --out mrpc-model
  adamix export lora_mnli.bin --lora-alpha 16 --model roberta-base --to peft --out mnli-adapter")]
pub struct Export {
    /// A run, an adapter folder of this program or of peft, or a loralib .bin file.
    source: PathBuf,
    /// The new folder.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What to write.
    #[arg(long, value_enum, default_value = "peft")]
    to: Format,
    /// The base model's folder; by default the run's.
    #[arg(long, value_name = "HF_DIR")]
    model: Option<PathBuf>,
    /// One expert alone, counted from 0, in place of the merged ones.
    #[arg(long, value_name = "NUMBER")]
    expert: Option<usize>,
    /// Which state of a run.
    #[arg(long, value_enum, default_value = "best")]
    state: State,
    /// LoRA's alpha, for a loralib .bin file, which does not hold it.
    #[arg(long, value_name = "ALPHA", value_parser = number::alpha)]
    lora_alpha: Option<f64>,
    /// Print what was written as JSON.
    #[arg(long)]
    json: bool,
}

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// An adapter in PEFT's file shape.
    Peft,
    /// A whole model.
    Transformers,
}

/// What is known of the adapter and its base, whatever the family.
struct Facts {
    setting: Setting,
    architecture: String,
    base: PathBuf,
    base_hash: String,
    model_type: String,
    outputs: usize,
    labels: Vec<String>,
    /// How a sequence becomes one vector; `None` for a decoder.
    pooling: Option<String>,
}

impl Export {
    pub fn run(self) -> Result<()> {
        let run = match self.source.join("run.toml").is_file() {
            true => Some(RunFolder::open(&self.source)?),
            false => None,
        };
        output::check_folder(&self.out)?;
        let model = match (&self.model, &run) {
            (Some(model), _) => model.clone(),
            (None, Some(run)) => run.config()?.model_folder()?,
            (None, None) => bail!("{}: give its base with --model", self.source.display()),
        };
        let writes = match &run {
            Some(run) => run.config()?.corpus().is_some(),
            None => false,
        };
        let model = match model == Path::new(embedded::NAME) {
            true if writes => embedded::DECODER.unpack()?,
            true => embedded::ENCODER.unpack()?,
            false => model,
        };
        let device = crate::device::open("flex")?;
        if hub::model_type(&model)? == "gpt2" {
            self.decoder(&model, run.as_ref(), &device)
        } else {
            self.encoder(&model, run.as_ref(), &device)
        }
    }

    fn encoder(&self, folder: &Path, run: Option<&RunFolder>, device: &Device) -> Result<()> {
        let base = Base::open(folder)?;
        let stored = base.stored(&self.adapter(run), self.lora_alpha)?;
        let served = base.backbone(device)?.with(&stored)?;
        let model_type = base.config.model_type.prefix();
        let family = match model_type {
            "bert" => "Bert",
            _ => "Roberta",
        };
        let head = match served.prompt {
            Some(_) => "ForMaskedLM",
            None => "ForSequenceClassification",
        };
        let facts = Facts {
            setting: Setting {
                task_type: "SEQ_CLS",
                base: Some(folder.display().to_string()),
                layout: Layout::OutIn,
                modules: affine_modules(&served.model),
                heads: base.config.num_attention_heads,
                layers: base.config.num_hidden_layers,
            },
            architecture: format!("{family}{head}"),
            base: folder.to_owned(),
            base_hash: base.hash.clone(),
            model_type: model_type.to_owned(),
            outputs: served.outputs,
            labels: served.labels,
            pooling: (served.pooling).map(|pooling| pooling.name().to_owned()),
        };
        self.write(served.model, &stored, &facts, run)
    }

    fn decoder(&self, folder: &Path, run: Option<&RunFolder>, device: &Device) -> Result<()> {
        let config = Gpt2Config::from_folder(folder)?;
        let weights = Weights::open(folder)?;
        let mut files = vec![folder.join("config.json")];
        files.extend_from_slice(weights.paths());
        let base_hash = adamix_data::fingerprint(&files)?;
        let stored = StoredAdapter::open(&self.adapter(run), "transformer", self.lora_alpha)?;
        stored.check_base(&base_hash)?;
        let model = Gpt2::load(&config, &weights, device)?;
        let model = stored.onto(model, Layout::InOut, device)?;
        let facts = Facts {
            setting: Setting {
                task_type: "CAUSAL_LM",
                base: Some(folder.display().to_string()),
                layout: Layout::InOut,
                modules: affine_modules(&model),
                heads: config.n_head,
                layers: config.n_layer,
            },
            architecture: "GPT2LMHeadModel".to_owned(),
            base: folder.to_owned(),
            base_hash,
            model_type: "gpt2".to_owned(),
            outputs: 0,
            labels: Vec::new(),
            pooling: None,
        };
        self.write(model, &stored, &facts, run)
    }

    /// The adapter: as given, or a run's with all its experts.
    fn adapter(&self, run: Option<&RunFolder>) -> PathBuf {
        run.map_or_else(|| self.source.clone(), |run| run.file(self.state.adapter()))
    }

    /// Writes the folder, whole or not at all.
    fn write<M: Adaptable>(
        &self,
        model: M,
        stored: &StoredAdapter,
        facts: &Facts,
        run: Option<&RunFolder>,
    ) -> Result<()> {
        let mut done = None;
        write::folder(&self.out, |out| {
            done = Some(self.fill(out, model, stored, facts, run)?);
            anyhow::Ok(())
        })?;
        let (holds, values) = done.expect("the folder was filled");
        if self.json {
            let holds = format!("{holds:?}");
            return show::json(&json!({"out": self.out, "holds": holds, "values": values}));
        }
        say!("{values} values -> {}", self.out.display())
    }

    /// What was written, and how many values.
    fn fill<M: Adaptable>(
        &self,
        out: &Path,
        model: M,
        stored: &StoredAdapter,
        facts: &Facts,
        run: Option<&RunFolder>,
    ) -> Result<(Holds, usize)> {
        let (model, merging) = self.single(&model, run)?;
        let replaced: BTreeSet<&String> = stored
            .parameters()
            .keys()
            .filter(|name| !name.contains(MARK))
            .collect();
        // Python's `peft` looks for the whole head in the folder of a classifier.
        let classifies = facts.setting.task_type == "SEQ_CLS" && self.to == Format::Peft;
        let is_kept = |name: &String| {
            replaced.contains(name) || (classifies && name.starts_with("classifier."))
        };
        let parameters = parameter::export(&model, |info| is_kept(&info.name));
        let kept = parameters.clone();
        let adapter = portable(&model, parameters);
        let holds = match self.to {
            Format::Transformers => {
                self.check_pooling(facts)?;
                let adapter = adapter.context("cannot be folded into the base's weights")?;
                let mut tensors = parameter::export(&without_adaptations(model), |_| true);
                fold(&mut tensors, &adapter, facts.setting.layout)?;
                self.save_model(out, facts, &tensors)?;
                Holds::Model
            }
            Format::Peft => {
                // As it was read: the model has some of it folded in where it has no place for a module.
                let adapter = match stored.foreign().cloned() {
                    Some(mut foreign) => {
                        // The rest of the head, unless the adapter is on the head itself.
                        let of_head = |path: &str| path.split('.').next() == Some("classifier");
                        let on_head = foreign.modules().any(of_head);
                        let head = kept.into_iter();
                        for (name, tensor) in head.filter(|(name, _)| !on_head && of_head(name)) {
                            foreign.parameters.entry(name).or_insert(tensor);
                        }
                        Ok(foreign)
                    }
                    None => adapter,
                };
                let asked = stored.config.as_ref().is_some_and(|c| c.prompt.is_some());
                let refusal = match &adapter {
                    Ok(_) if asked => Some("a prompt asks it at the mask".to_owned()),
                    Ok(adapter) => peft::refusal(adapter),
                    Err(error) => Some(error.to_string()),
                };
                if let (Some(reason), Some(_)) = (&refusal, stored.foreign()) {
                    bail!(
                        "{}: {reason}; a whole model (--to transformers) holds it",
                        self.source.display()
                    );
                }
                if refusal.is_none() {
                    self.check_pooling(facts)?;
                }
                let config = self.describe(&model, stored, facts);
                let tensors = parameter::export(&model, |info| {
                    info.name.contains(MARK) || is_kept(&info.name)
                });
                let adapter = adapter.ok().filter(|_| refusal.is_none());
                adapter::save_served(out, &config, &tensors, adapter.as_ref(), &facts.setting)?;
                match refusal {
                    None => Holds::PeftAdapter,
                    Some(reason) => {
                        eprintln!(
                            "peft has no type for this adapter ({reason}): written under own names"
                        );
                        Holds::OwnAdapter
                    }
                }
            }
        };
        let values = stored_values(out)?;
        let card = self.card(holds, facts, stored, run, values, merging)?;
        card.save(out)?;
        Ok((holds, values))
    }

    /// The model with one module a site, and how it came to that.
    fn single<M: Adaptable>(&self, model: &M, run: Option<&RunFolder>) -> Result<(M, String)> {
        let experts = model
            .sites()
            .iter()
            .map(|site| site.down.max(site.up))
            .max();
        let experts = experts.unwrap_or(1);
        if let Some(expert) = self.expert {
            ensure!(
                expert < experts,
                "--expert {expert}: the adapter has {experts} experts, counted from 0"
            );
            let rule = Weighted::subset(&[expert], experts);
            return Ok((
                model.merged(&rule)?,
                format!("expert {expert} of {experts}"),
            ));
        }
        let config = run.map(RunFolder::config).transpose()?;
        let rule: std::sync::Arc<dyn MergeRule> = match &config {
            Some(config) => config.merging.rule_for(model)?,
            None => std::sync::Arc::new(Uniform {}),
        };
        let mut told = match experts {
            1 => "one".to_owned(),
            _ => format!("{experts}, merged by `{}`", rule.name()),
        };
        if let Some(config) = config.filter(|_| experts > 1) {
            let policy = config.routing.policy()?;
            if policy.native_inference() != Inference::Merged {
                let note = format!(
                    "the policy `{}` runs them as it decides, which no merged module does",
                    policy.name()
                );
                eprintln!("{note}; its router is not written");
                told += &format!(" ({note})");
            }
        }
        Ok((model.merged(rule.as_ref())?, told))
    }

    /// Refuses what the classes of `transformers` cannot compute.
    fn check_pooling(&self, facts: &Facts) -> Result<()> {
        let Some(pooling) = &facts.pooling else {
            return Ok(());
        };
        let fits = pooling == "pooler" || (facts.model_type == "roberta" && pooling == "cls");
        ensure!(
            fits,
            "{}: trained with `backbone.pooling = \"{pooling}\"`, which {} does not have; train with \"pooler\"",
            self.source.display(),
            facts.architecture
        );
        Ok(())
    }

    fn save_model(
        &self,
        out: &Path,
        facts: &Facts,
        tensors: &std::collections::BTreeMap<String, HostTensor>,
    ) -> Result<()> {
        let card = ModelCard {
            architecture: &facts.architecture,
            // Neither a decoder nor a masked language model has classes.
            outputs: facts.pooling.as_ref().map_or(0, |_| facts.outputs),
            labels: &facts.labels,
        };
        Ok(model_folder::save(out, &facts.base, &card, tensors)?)
    }

    fn describe<M: Adaptable>(
        &self,
        model: &M,
        stored: &StoredAdapter,
        facts: &Facts,
    ) -> AdapterConfig {
        let known = stored.config.as_ref();
        AdapterConfig {
            format: adapter::FORMAT,
            base_hash: facts.base_hash.clone(),
            model_type: facts.model_type.clone(),
            attachments: model.attachments(),
            labels: facts.labels.clone(),
            outputs: facts.outputs,
            pooling: facts.pooling.clone().unwrap_or_default(),
            task: known.map_or_else(String::new, |config| config.task.clone()),
            merged: true,
            max_length: known.map_or(0, |config| config.max_length),
            halved: known.is_some_and(|config| config.halved),
            prompt: known.and_then(|config| config.prompt.clone()),
        }
    }

    fn card(
        &self,
        holds: Holds,
        facts: &Facts,
        stored: &StoredAdapter,
        run: Option<&RunFolder>,
        parameters: usize,
        merging: String,
    ) -> Result<Card> {
        let task = stored.config.as_ref().map(|config| config.task.clone());
        let mut card = Card {
            holds,
            architecture: facts.architecture.clone(),
            base: facts.setting.base.clone(),
            base_hash: facts.base_hash.clone(),
            task: task
                .filter(|task| !task.is_empty())
                .unwrap_or("an unnamed task".to_owned()),
            method: "adapter".to_owned(),
            parameters,
            merging,
            scores: Vec::new(),
        };
        if let Some(run) = run {
            card.method = run.config()?.adaptation.method.to_string();
            if let (Ok(result), None) = (run.result(), self.expert) {
                let measured = match self.state {
                    State::Best => Some(result.best),
                    State::Last => Some(result.last),
                    State::Initial => None,
                };
                card.scores = measured.map_or(Vec::new(), |measured| {
                    let how = format!("{:?} inference, epoch {}", result.inference, measured.epoch);
                    scores(&measured.metrics, &how.to_lowercase())
                });
            }
        }
        Ok(card)
    }
}

fn scores(metrics: &Metrics, how: &str) -> Vec<(String, String)> {
    let score = |(name, value): (&String, &Option<f64>)| {
        let value = value.map_or("undefined".to_owned(), |value| format!("{value:.4}"));
        (format!("{name} on the development split ({how})"), value)
    };
    metrics.iter().map(score).collect()
}

fn without_adaptations<M: Adaptable>(mut model: M) -> M {
    for slot in model.slots() {
        *slot.holds = None;
    }
    model
}

/// The values in the files that were written.
fn stored_values(out: &Path) -> Result<usize> {
    let file = [peft::TENSORS, "model.safetensors"].map(|name| out.join(name));
    let file = file
        .into_iter()
        .find(|path| path.is_file())
        .context("nothing was written")?;
    let weights = Weights::from_files(out, vec![file])?;
    let shapes = weights.names().filter_map(|name| weights.shape(name));
    Ok(shapes.map(|shape| shape.iter().product::<usize>()).sum())
}
