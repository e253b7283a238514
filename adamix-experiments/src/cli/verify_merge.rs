//! `adamix verify-merge`.

use std::path::PathBuf;

use adamix_core::routing::{Inference, RoutingPolicy};
use adamix_keys::Key;
use adamix_models::site::Adaptable;
use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::merge::{comparison, merging};
use super::show;
use super::state::State;
use crate::config::{Merging, RunConfig};
use crate::merge::{
    Candidates, ClassificationRows, Distance, GenerationRows, Rows, Verification, distance, part,
    verify,
};
use crate::recipe::generation::{DecoderBase, GenerationData};
use crate::recipe::{Base, TaskData};
use crate::run::RunFolder;

/// Say for a run what merging its experts leaves exact, site by site, and measure what it does not.
#[derive(Debug, Args)]
#[command(after_help = "\
A merged bank is the mean of its experts. Whether the merged module is the mean of the experts' outputs depends on what \
it is: a LoRA with one side shared is (the mean of the products is the product of the means), a bottleneck with an \
activation between projections that differ is not, nor is anything with no side shared. Each site says which, with the \
relative distance of the merged product (`product`) and of the outputs on rows of the development split (`output`). \
Even where all sites are exact the model is not the ensemble of its experts, as layers are not linear: that is measured on \
the logits. A policy that is not meant to be merged is compared with, too.

Examples:
  adamix verify-merge runs/mrpc
  adamix verify-merge runs/mrpc --set merging.rule=product-svd --json")]
pub struct VerifyMerge {
    /// The run's folder.
    run: PathBuf,
    /// Change a key of the [merging] table; may be given often.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Which state of the run's model.
    #[arg(long, value_enum, default_value = "best")]
    state: State,
    /// Rows of the development split, at most; 0 for all.
    #[arg(long, value_name = "NUMBER", default_value_t = 256)]
    rows: usize,
    /// The base model, if it is no longer where the run found it.
    #[arg(long, value_name = "HF_DIR")]
    model: Option<PathBuf>,
    /// Where to compute.
    #[arg(long, default_value = "flex")]
    device: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl VerifyMerge {
    pub fn run(self) -> Result<()> {
        let run = RunFolder::open(&self.run)?;
        let config = run.config()?;
        let merging = merging(&config, None, &self.set)?;
        let device = crate::device::open(&self.device)?;
        let key = Key::new(0).purpose("rows of verification");
        let served = self.state.merged().map(|folder| run.file(folder));
        let (found, stored) = match config.corpus() {
            Some(corpus) => {
                let base = DecoderBase::of_run(&config, self.model.as_deref())?;
                let dev = GenerationData::load(&config, corpus)?.dev;
                let chosen = part(dev.len(), self.rows, key).into_iter();
                let chosen = chosen.map(|i| dev[i].clone()).collect();
                let rows = GenerationRows::new(&base, chosen, base.longest_input(&config))?;
                let (adapted, _) = base.with_adapter(&run.file(self.state.adapter()), &device)?;
                let open = |served: PathBuf| base.served(&served, &device);
                let stored = served.map(|served| || open(served));
                self.verify(adapted.model, &rows, &config, &merging, stored)?
            }
            None => {
                let base = Base::of_run(&config, self.model.as_deref())?;
                let data = TaskData::load(&config)?;
                let chosen = part(data.dev.len(), self.rows, key).into_iter();
                let chosen = chosen.map(|i| data.dev[i].clone()).collect();
                let rows = ClassificationRows::new(&base, &data, &config, chosen)?;
                let (adapted, _) = base.with_adapter(&run.file(self.state.adapter()), &device)?;
                let open = |served: PathBuf| {
                    let backbone = base.backbone(&device)?;
                    Ok(backbone.with(&base.stored(&served, None)?)?.model)
                };
                let stored = served.map(|served| || open(served));
                self.verify(adapted.model, &rows, &config, &merging, stored)?
            }
        };
        if self.json {
            return show::json(
                &json!({"run": self.run, "merging": merging, "stored": stored, "banks": found.banks, "sites": found.sites, "model": found.model}),
            );
        }
        self.say(&merging, &found, stored.as_ref())
    }

    /// The report, and how far the run's own merged folder is from the merging that is done here; that is asked
    /// only if the rule is the run's.
    fn verify<R: Rows>(
        &self,
        model: R::Model,
        rows: &R,
        config: &RunConfig,
        merging: &Merging,
        stored: Option<impl FnOnce() -> Result<R::Model>>,
    ) -> Result<(Verification, Option<Distance>)> {
        let rule = merging.rule_for(&model)?;
        let policy = config.routing.policy()?;
        let routed = (policy.native_inference() != Inference::Merged)
            .then_some(policy.as_ref() as &dyn RoutingPolicy);
        let merged = model.merged(rule.as_ref())?;
        let candidates = Candidates::of_run(model)?;
        let size = config.evaluation.batch_size;
        let progress = show::progress();
        progress.set_length(rows.count() as u64);
        let watch = |rows| progress.inc(rows);
        let found = verify(&candidates, rule.as_ref(), routed, rows, size, &watch)?;
        progress.finish_and_clear();
        let stored = stored
            .filter(|_| *merging == config.merging)
            .map(|open| distance(&open()?, &merged, rows, size))
            .transpose()?;
        Ok((found, stored))
    }

    fn say(
        &self,
        merging: &Merging,
        found: &Verification,
        stored: Option<&Distance>,
    ) -> Result<()> {
        let exact = found.sites.iter().filter(|site| site.exact).count();
        say!(
            "{}: rule `{}`; {} of {} modules are exact under the mean",
            self.run.display(),
            merging.rule,
            exact,
            found.sites.len()
        )?;
        match found.banks.from_mean {
            Some(far) => say!(
                "  {} banks, within {far:.1e} of their experts' means",
                found.banks.merged
            )?,
            None => say!("  {} banks, some of another shape", found.banks.merged)?,
        }
        if let Some(stored) = stored {
            say!(
                "  the run's merged folder gives these logits within {:.1e}",
                stored.largest
            )?;
        }
        let gap = |gap: Option<f64>| gap.map_or("-".to_owned(), |gap| format!("{gap:.2e}"));
        for site in &found.sites {
            say!(
                "  {}  {} {}x{}  product {}  output {}  {}: {}",
                site.module,
                site.kind,
                site.experts.0,
                site.experts.1,
                gap(site.product_gap),
                gap(site.output_gap),
                if site.exact { "exact" } else { "not exact" },
                site.why
            )?;
        }
        comparison(&found.model)
    }
}
