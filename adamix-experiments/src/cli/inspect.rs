//! `adamix inspect`.

use std::path::{Path, PathBuf};

use adamix_core::account::Account;
use adamix_core::parameter;
use adamix_keys::Key;
use adamix_models::encoder::{EncoderConfig, SequenceClassifierConfig};
use adamix_models::hub::{Source, adapter};
use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;

use super::show;
use crate::config::{self, RunConfig};
use crate::recipe::{Base, is_head, mixture_config};
use crate::run::RunFolder;

/// Count parameters and bytes of a run, an adapter, a model folder or an architecture.
#[derive(Debug, Args)]
#[command(after_help = "\
merged is the paper's #Param: adaptation parameters of the served model, head excluded.

Examples:
  adamix inspect runs/mrpc
  adamix inspect bert-folder --set adaptation.bottleneck=48
  adamix inspect --architecture roberta-large --set adaptation.bottleneck=16 --json")]
pub struct Inspect {
    /// A run, an adapter or a Hugging Face folder.
    #[arg(required_unless_present = "architecture")]
    path: Option<PathBuf>,
    /// A published architecture, without its weights.
    #[arg(long, conflicts_with = "path")]
    architecture: Option<String>,
    /// Change a key of the run config that is counted.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Outputs of the head: classes, or 1 for a regression.
    #[arg(long, default_value_t = 2)]
    outputs: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub fn run(self) -> Result<()> {
        let (what, account) = match (&self.path, &self.architecture) {
            (_, Some(name)) => {
                let known = || {
                    format!(
                        "unknown architecture `{name}`; known: {}",
                        EncoderConfig::NAMES.join(", ")
                    )
                };
                let encoder = EncoderConfig::named(name).with_context(known)?;
                (
                    name.clone(),
                    count(&encoder, &config::read(None, &self.set)?, self.outputs)?,
                )
            }
            (Some(path), None) => (path.display().to_string(), self.folder(path)?),
            (None, None) => bail!("give a folder or --architecture"),
        };
        if self.json {
            return show::json(&json!({
                "what": what, "parameters": account,
                "adaptation": account.adaptation(), "served": account.served(), "stored_bytes": account.stored_bytes(),
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
            "frozen unless the method trains it",
        )?;
        row("experts", account.experts, "on sides with several experts")?;
        row("shared", account.shared, "on sides with one projection")?;
        row("head", account.head, "")?;
        row("trained", account.trained, "moved by training")?;
        row(
            "merged",
            account.merged,
            "adaptation parameters when served (the paper's #Param)",
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
        if path.join("run.toml").is_file() {
            let folder = RunFolder::open(path)?;
            let config = folder.config()?;
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
            return count(
                &EncoderConfig::from_folder(path)?,
                &config::read(None, &self.set)?,
                self.outputs,
            );
        }
        bail!(
            "{}: neither a run (run.toml), an adapter ({}) nor a model (config.json)",
            path.display(),
            adapter::CONFIG
        )
    }
}

/// Counts a run's model without any weights.
fn count(encoder: &EncoderConfig, config: &RunConfig, outputs: usize) -> Result<Account> {
    let device = burn::tensor::Device::flex();
    let classifier = SequenceClassifierConfig {
        encoder: encoder.clone(),
        outputs,
        pooling: config.backbone.pooling,
    };
    let mut model = classifier.build_all(&Source::zeros(&device))?;
    if let Some(mixture) = mixture_config(&config.adaptation, encoder.hidden_size) {
        model = model.attach(&mixture, Key::new(0), &device);
    }
    let mut infos = parameter::parameters(&model);
    let full = config.adaptation.method == config::Method::Full;
    for info in &mut infos {
        let pooler = info.name.contains(".pooler.") && config.backbone.train_pooler;
        info.trainable =
            full || pooler || is_head(&info.name) || info.name.contains(adamix_core::account::MARK);
    }
    Ok(Account::new(&infos, is_head))
}

/// `811392` as `811,392`.
fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(architecture: &str, bottleneck: usize) -> Account {
        let settings = [format!("adaptation.bottleneck={bottleneck}")];
        count(
            &EncoderConfig::named(architecture).unwrap(),
            &config::read(None, &settings).unwrap(),
            2,
        )
        .unwrap()
    }

    #[test]
    fn counts_are_the_papers() {
        let roberta = merged("roberta-large", 16);
        assert_eq!((roberta.merged, roberta.adaptation()), (811_392, 1_992_192));
        let bert = merged("bert-base-uncased", 48);
        assert_eq!((bert.merged, bert.adaptation()), (894_528, 2_223_360));
        // bert-base-uncased has 109,482,240 parameters with its pooler.
        assert_eq!(bert.backbone, 109_482_240);
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!(
            [0, 999, 1000, 811_392].map(grouped),
            ["0", "999", "1,000", "811,392"]
        );
    }
}
