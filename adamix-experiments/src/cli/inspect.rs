//! `adamix inspect`.

use std::path::{Path, PathBuf};

use adamix_core::account::Account;
use adamix_core::parameter;
use adamix_keys::Key;
use adamix_models::encoder::{
    Cloze, Encoder, EncoderConfig, SequenceClassifier, SequenceClassifierConfig,
};
use adamix_models::gpt2::{Gpt2, Gpt2Config};
use adamix_models::hub::{self, Source, adapter};
use anyhow::{Context, Result, bail, ensure};
use burn::tensor::Device;
use clap::Args;
use serde_json::json;

use super::{show, tasks};
use crate::config::{self, RunConfig};
use crate::recipe::generation::DecoderBase;
use crate::recipe::{Base, adapt, adapt_classifier, is_head};
use crate::report::document::grouped;
use crate::run::RunFolder;

/// Count parameters and bytes of a run, an adapter, a model folder or an architecture.
#[derive(Debug, Args)]
#[command(after_help = "\
tuned is the paper's #Param: what is added or moved, as served, head excluded.

Examples:
  adamix inspect runs/mrpc
  adamix inspect bert-folder --set adaptation.bottleneck=48
  adamix inspect --model bert-folder runs/mrpc runs/rte/merged/best peft-folder
  adamix inspect --architecture roberta-large --set adaptation.bottleneck=16 --json
  adamix inspect --architecture gpt2-medium --set adaptation.method=adamix-lora")]
pub struct Inspect {
    /// A run, an adapter or a Hugging Face folder; with --model as many adapters as there are tasks.
    #[arg(required_unless_present = "architecture")]
    path: Vec<PathBuf>,
    /// The base of the adapters: what each further task costs beside it.
    #[arg(long, value_name = "HF_DIR", conflicts_with_all = ["architecture", "set", "outputs"])]
    model: Option<PathBuf>,
    /// A published architecture, without its weights.
    #[arg(long, conflicts_with = "path")]
    architecture: Option<String>,
    /// Change a key of the run config that is counted.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Outputs of the head: classes, or 1 for a regression.
    #[arg(long, default_value_t = 2, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1 << 16))]
    outputs: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub fn run(self) -> Result<()> {
        if let Some(model) = &self.model {
            return tasks::report(model, &self.path, self.json);
        }
        let (what, account) = match (self.path.as_slice(), &self.architecture) {
            (_, Some(name)) => {
                let config = config::read(None, &self.set)?;
                (name.clone(), architecture(name, &config, self.outputs)?)
            }
            ([path], None) => (path.display().to_string(), self.folder(path)?),
            _ => bail!("give one folder, --architecture, or --model with the adapters on it"),
        };
        if self.json {
            return show::json(&json!({
                "what": what, "parameters": account,
                "adaptation": account.adaptation(), "tuned": account.tuned(), "served": account.served(), "stored_bytes": account.stored_bytes(),
                "backbone_bytes": 4 * account.backbone,
            }));
        }
        say!("{what}")?;
        let row = |name: &str, count: usize, note: &str| {
            say!("  {name:<12}{:>14}  {note}", grouped(count))
        };
        row(
            "backbone",
            account.backbone,
            "frozen but for what is unfrozen",
        )?;
        row("experts", account.experts, "on sides with several experts")?;
        row("shared", account.shared, "on sides with one projection")?;
        row("head", account.head, "")?;
        row("trained", account.trained, "moved by training")?;
        row(
            "merged",
            account.merged,
            "adaptation parameters when served",
        )?;
        row(
            "tuned",
            account.tuned(),
            "these and what is trained of the base, less heads: the paper's #Param",
        )?;
        row(
            "served",
            account.served(),
            "all parameters of the served model",
        )?;
        row(
            "stored",
            account.stored_bytes(),
            "bytes on disk for one more task, f32, merged, with its head",
        )?;
        Ok(())
    }

    fn folder(&self, path: &Path) -> Result<Account> {
        if path.join("run.toml").is_file() || path.join(adapter::CONFIG).is_file() {
            ensure!(
                self.set.is_empty(),
                "--set counts another config on --architecture or a base model; {} has its own",
                path.display()
            );
        }
        if path.join("run.toml").is_file() {
            let folder = RunFolder::open(path)?;
            let config = folder.config()?;
            if config.corpus().is_some() {
                let base = DecoderBase::open(&config.model_folder()?)?;
                return count_decoder(&base.config, &config);
            }
            let (adapter, _) = adapter::load(&folder.file("adapter/initial"))?;
            return count(
                &Base::open(&config.model_folder()?)?.config,
                &config,
                adapter.outputs,
            );
        }
        if path.join(adapter::CONFIG).is_file() {
            let (_, tensors) = adapter::load(path)?;
            let info = |(name, tensor): (String, parameter::HostTensor)| parameter::ParameterInfo {
                name,
                shape: tensor.shape,
                trainable: true,
                owner: String::new(),
            };
            let infos: Vec<_> = tensors.into_iter().map(info).collect();
            return Ok(Account::new(&infos, is_head));
        }
        if path.join("config.json").is_file() {
            let config = config::read(None, &self.set)?;
            if hub::model_type(path)? == "gpt2" {
                return count_decoder(&Gpt2Config::from_folder(path)?, &config);
            }
            return count(&EncoderConfig::from_folder(path)?, &config, self.outputs);
        }
        bail!(
            "{}: neither a run (run.toml), an adapter ({}) nor a model (config.json)",
            path.display(),
            adapter::CONFIG
        )
    }
}

/// Where models are counted: only a device with autodiff knows what is trainable.
fn counting() -> Device {
    Device::flex().autodiff()
}

/// Counts a published architecture, encoder or decoder.
fn architecture(name: &str, config: &RunConfig, outputs: usize) -> Result<Account> {
    if let Some(encoder) = EncoderConfig::named(name) {
        return count(&encoder, config, outputs);
    }
    let decoder = Gpt2Config::named(name).with_context(|| {
        let known = [&EncoderConfig::NAMES[..], &Gpt2Config::NAMES].concat();
        format!("unknown architecture `{name}`; known: {}", known.join(", "))
    })?;
    count_decoder(&decoder, config)
}

/// Counts a decoder without any weights.
fn count_decoder(decoder: &Gpt2Config, config: &RunConfig) -> Result<Account> {
    let device = counting();
    let model = Gpt2::build(decoder, &Source::zeros(&device))?;
    let model = adapt(model, config, Key::new(0), &device)?;
    Ok(Account::new(&parameter::parameters(&model), is_head))
}

/// Counts a run's model without any weights.
fn count(encoder: &EncoderConfig, config: &RunConfig, outputs: usize) -> Result<Account> {
    let device = counting();
    let zeros = Source::zeros(&device);
    let model = if config.prompt.is_given() {
        let base = Encoder::load(encoder, &zeros.at(encoder.model_type.prefix()))?;
        let cloze = Cloze {
            mask: 0,
            words: vec![0; outputs],
        };
        SequenceClassifier::cloze(encoder, base, &zeros, cloze)?
    } else {
        let classifier = SequenceClassifierConfig {
            encoder: encoder.clone(),
            outputs,
            pooling: config.backbone.pooling,
        };
        classifier.build_all(&zeros)?
    };
    let model = adapt_classifier(model, config, Key::new(0), &device)?;
    let mut infos = parameter::parameters(&model);
    for info in &mut infos {
        info.trainable |= is_head(&info.name);
    }
    Ok(Account::new(&infos, is_head))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(name: &str, settings: &[&str]) -> Account {
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        architecture(name, &config::read(None, &settings).unwrap(), 2).unwrap()
    }

    #[test]
    fn counts_are_the_papers() {
        let roberta = counted("roberta-large", &[]);
        assert_eq!((roberta.merged, roberta.adaptation()), (811_392, 1_992_192));
        let bert = counted("bert-base-uncased", &["adaptation.bottleneck=48"]);
        assert_eq!((bert.merged, bert.adaptation()), (894_528, 2_223_360));
        // bert-base-uncased has 109,482,240 parameters with its pooler.
        assert_eq!(bert.backbone, 109_482_240);
    }

    #[test]
    fn every_row_of_the_tables_counts_what_the_paper_prints() {
        for (architecture, settings, tuned) in [
            // Table 1: 3.0M, 0.8M, 0.8M, 0.8M.
            (
                "roberta-large",
                &["method=pfeiffer", "bottleneck=60"][..],
                2_975_136,
            ),
            ("roberta-large", &["method=pfeiffer"], 811_392),
            (
                "roberta-large",
                &["method=houlsby", "bottleneck=60"],
                5_950_272,
            ),
            (
                "roberta-large",
                &["method=houlsby", "bottleneck=8"],
                835_968,
            ),
            ("roberta-large", &["method=lora", "rank=8"], 786_432),
            // Table 2: 110M, 0.9M, 0.1M, 0.2M, 0.3M, 1.1M, 1.4M (gates included).
            ("bert-base-uncased", &["method=full"], 109_482_240),
            (
                "bert-base-uncased",
                &["method=houlsby", "bottleneck=24"],
                903_744,
            ),
            ("bert-base-uncased", &["method=bitfit"], 102_912),
            ("bert-base-uncased", &["method=prefix"], 184_320),
            ("bert-base-uncased", &["method=lora", "rank=8"], 294_912),
            (
                "bert-base-uncased",
                &["method=unipelt-ap"],
                1_078_848 + 24 * 769,
            ),
            (
                "bert-base-uncased",
                &["method=unipelt-apl"],
                1_373_760 + 48 * 769,
            ),
            // Table 3: 354.92M (the paper's print; the model has 354.82M), 0.37M, 11.09M, 11.09M, 25.19M, 0.35M.
            ("gpt2-medium", &["method=full"], 354_823_168),
            ("gpt2-medium", &["method=lin", "bottleneck=6"], 368_784),
            ("gpt2-medium", &["method=lin", "bottleneck=224"], 11_089_152),
            (
                "gpt2-medium",
                &["method=houlsby", "bottleneck=112"],
                11_064_576,
            ),
            ("gpt2-medium", &["method=top"], 25_192_448),
            ("gpt2-medium", &["method=prelayer", "length=14"], 344_064),
            ("gpt2-medium", &["method=lora"], 393_216),
            ("gpt2-medium", &["method=adamix-lora", "experts=8"], 393_216),
            (
                "gpt2-medium",
                &["method=adamix", "bottleneck=8", "experts=8"],
                417_984,
            ),
            // Table 6: LiST's adapter, 24 layers of two times two maps of 1024 x 128.
            ("roberta-large", &["method=list"], 24 * 4 * 1024 * 128),
            ("roberta-large", &["method=prompt"], 10 * 1024),
            ("roberta-large", &["method=head"], 0),
            ("roberta-large", &["method=ia3"], 24 * (2 * 1024 + 4096)),
        ] {
            let settings: Vec<String> =
                settings.iter().map(|s| format!("adaptation.{s}")).collect();
            let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
            let account = counted(architecture, &settings);
            assert_eq!(account.tuned(), tuned, "{architecture} {settings:?}");
        }
        let mixture = |settings| counted("gpt2-medium", settings).adaptation();
        let lora = ["adaptation.method=adamix-lora", "adaptation.experts=8"];
        assert_eq!(mixture(&lora), 1_769_472);
        assert_eq!(
            mixture(&["adaptation.bottleneck=8", "adaptation.experts=8"]),
            1_795_584
        );
    }
}
