//! `adamix merge`.

mod report;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use adamix_core::routing::{Inference, RoutingPolicy};
use adamix_data::nlg::Corpus;
use adamix_keys::Key;
use adamix_models::hub::adapter::AdapterConfig;
use adamix_models::hub::write;
use adamix_models::site::Adaptable;
use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use clap::Args;

use super::state::State;
use super::{output, show};
use crate::config::{self, Merging, RunConfig};
use crate::merge::{
    Candidates, ClassificationRows, Gatherer, GenerationRows, Rows, compare, needs_rows, part,
};
use crate::recipe::generation::{DecoderBase, GenerationData};
use crate::recipe::{Adapted, Base, TaskData};
use crate::run::RunFolder;
pub(super) use report::comparison;
use report::{Outcome, Part, Report, say_all};

/// Merge the experts of a run by any rule, or several runs into one, and say how far the result is from the
/// ensemble; or compare rules.
#[derive(Debug, Args)]
#[command(after_help = "\
One run: its experts become one module a site. Several runs of one shape: each is merged by its own rule first, then the \
runs are merged, heads included. Rules: uniform, weighted, ties, dare, magnitude, product-svd, concatenation; and with rows \
of the training split fisher, regmean, greedy-soup and learned-soup. Their options, and other rules for some sites, are keys \
of the [merging] table. The rows are those that input.kept_for_merging kept from training; of a run that kept none they are rows \
that it was trained on, which is said. The development split is for the report only. \
The new folder is one that `predict --adapter`, `evaluate --adapter`, `generate --adapter` and `export` take; merge.json in \
it is the report. Without --out nothing is written: several --rule are then compared, and one that cannot merge these runs \
(product-svd wants linear modules) says why.

Examples:
  adamix merge runs/mrpc --rule ties --set merging.options.density=0.3 --out ties
  adamix merge runs/mrpc --rule regmean --out regmean --json
  adamix merge runs/mrpc --rule uniform --rule ties --rule fisher
  adamix merge runs/mrpc --out mixed \\
    --set 'merging.overrides=[{sites=\"layer.0.*\", bank=\"down\", rule=\"dare\"}]'
  adamix merge runs/seed-1 runs/seed-2 runs/seed-3 --rule greedy-soup --out soup
  adamix evaluate runs/mrpc --adapter ties")]
pub struct Merge {
    /// The runs' folders.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The new folder; without it the merged model is only compared.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The rule; without it, that of the (first) run. May be given often without --out.
    #[arg(long, value_name = "NAME")]
    rule: Vec<String>,
    /// Change a key of the [merging] table, such as merging.options.density=0.3; may be given often.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Which state of the runs' models.
    #[arg(long, value_enum, default_value = "best")]
    state: State,
    /// Rows of the training split that rules look at, at most; 0 for all.
    #[arg(long, value_name = "NUMBER", default_value_t = 512)]
    rows: usize,
    /// The base model, if it is no longer where the run found it.
    #[arg(long, value_name = "HF_DIR")]
    model: Option<PathBuf>,
    /// Where to compute.
    #[arg(long, default_value = "flex")]
    device: String,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// The runs, opened.
struct Runs {
    folders: Vec<RunFolder>,
    configs: Vec<RunConfig>,
    /// One a rule.
    mergings: Vec<Merging>,
}

/// The examples of a task.
struct Splits<'a, T> {
    kept: &'a [T],
    train: &'a [T],
    dev: &'a [T],
}

impl Merge {
    pub fn run(self) -> Result<()> {
        if let Some(out) = &self.out {
            output::check_folder(out)?;
            let out = out.display();
            let count = self.rule.len();
            ensure!(count < 2, "{out}: --out takes the result of one --rule");
        }
        let folders: Vec<RunFolder> =
            (self.runs.iter().map(|path| RunFolder::open(path))).collect::<Result<_>>()?;
        let configs: Vec<RunConfig> =
            (folders.iter().map(RunFolder::config)).collect::<Result<_>>()?;
        let data = |run: &RunFolder| Ok(run.result()?.identity.data_hash);
        let hashes: Vec<String> = folders.iter().map(data).collect::<Result<_>>()?;
        for i in 1..hashes.len() {
            let (one, other) = (&configs[i], &configs[0]);
            // Drawn rows depend on the seed.
            let drawn = one.few_shot.per_class > 0 && one.seed != other.seed;
            let kept = one.input == other.input && one.few_shot == other.few_shot && !drawn;
            ensure!(
                hashes[i] == hashes[0] && configs[i].task == configs[0].task && kept,
                "{}: trained on other data, or other rows of it, than {}",
                self.runs[i].display(),
                self.runs[0].display()
            );
        }
        let mergings = if self.rule.is_empty() {
            vec![merging(&configs[0], None, &self.set)?]
        } else {
            let of = |rule: &String| merging(&configs[0], Some(rule), &self.set);
            self.rule.iter().map(of).collect::<Result<_>>()?
        };
        let runs = Runs {
            mergings,
            folders,
            configs,
        };
        let device = crate::device::open(&self.device)?.autodiff();
        let outcomes = match runs.configs[0].corpus() {
            Some(corpus) => self.decoder(&runs, corpus, &device)?,
            None => self.encoder(&runs, &device)?,
        };
        match outcomes.as_slice() {
            [Outcome::Merged(report)] if self.json => show::json(report),
            [Outcome::Merged(report)] => report.say(),
            all if self.json => show::json(&all),
            all => say_all(all),
        }
    }

    fn encoder(&self, runs: &Runs, device: &Device) -> Result<Vec<Outcome>> {
        let config = &runs.configs[0];
        let base = Base::of_run(config, self.model.as_deref())?;
        let data = TaskData::load(config)?;
        let splits = Splits {
            kept: &data.kept,
            train: &data.train,
            dev: &data.dev,
        };
        self.merge(
            runs,
            |run| base.with_adapter(run, device),
            |description| base.bare(description, device),
            &splits,
            |examples| ClassificationRows::new(&base, &data, config, examples),
            |adapted, path, description| adapted.save_served(path, description, &base),
        )
    }

    fn decoder(&self, runs: &Runs, corpus: Corpus, device: &Device) -> Result<Vec<Outcome>> {
        let config = &runs.configs[0];
        let base = DecoderBase::of_run(config, self.model.as_deref())?;
        let data = GenerationData::load(config, corpus)?;
        let splits = Splits {
            kept: &data.kept,
            train: &data.train,
            dev: &data.dev,
        };
        self.merge(
            runs,
            |run| base.with_adapter(run, device),
            |_| base.plain(device),
            &splits,
            |pairs| GenerationRows::new(&base, pairs, base.longest_input(config)),
            |adapted, path, description| adapted.save_served(path, description, &base),
        )
    }

    /// Opens the runs, merges them by every rule, compares, and writes the one result that is wanted.
    fn merge<R: Rows, T: Clone>(
        &self,
        runs: &Runs,
        open: impl Fn(&Path) -> Result<(Adapted<R::Model>, AdapterConfig)>,
        bare: impl Fn(&AdapterConfig) -> Result<R::Model>,
        splits: &Splits<'_, T>,
        rows: impl Fn(Vec<T>) -> Result<R>,
        save: impl FnOnce(&Adapted<R::Model>, &Path, &AdapterConfig) -> Result<()>,
    ) -> Result<Vec<Outcome>> {
        let adapters = runs
            .folders
            .iter()
            .map(|run| run.file(self.state.adapter()));
        let loaded = (adapters.map(|path| open(&path))).collect::<Result<Vec<_>>>()?;
        let models = loaded.iter().map(|(adapted, _)| adapted.model.clone());
        let description = one_description(loaded.iter().map(|(_, description)| description))?;
        let candidates = runs.candidates(models.collect(), || bare(&description))?;
        let (held, gathered) = self.held(runs, splits);
        let held = held.map(&rows).transpose()?;
        let dev = rows(splits.dev.to_vec())?;

        let config = &runs.configs[0];
        let progress = show::progress();
        progress.set_message("rows");
        let watch = |rows| progress.inc(rows);
        let gatherer = Gatherer {
            candidates: &candidates,
            rows: held.as_ref(),
            batch_size: config.evaluation.batch_size,
            key: Key::new(config.seed).purpose("merging"),
            watch: &watch,
            found: RefCell::default(),
        };
        let (mut models, mut merged, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for merging in &runs.mergings {
            let rule = gatherer.rule(merging)?;
            match candidates.merged(rule.as_ref()) {
                Ok(model) => {
                    models.push(model);
                    merged.push((merging.clone(), gatherer.found.take()));
                }
                Err(error) if runs.mergings.len() > 1 => refused.push(Outcome::Refused {
                    runs: self.runs.clone(),
                    merging: merging.clone(),
                    refused: format!("{error:#}"),
                }),
                Err(error) => return Err(error),
            }
        }
        let policy = config.routing.policy()?;
        let routed = (runs.folders.len() == 1 && policy.native_inference() != Inference::Merged)
            .then_some(policy.as_ref() as &dyn RoutingPolicy);
        let size = config.evaluation.batch_size;
        let compared = compare(&candidates, &models, routed, &dev, size, &watch)?;
        progress.finish_and_clear();
        let reports =
            (merged.into_iter().zip(compared)).map(|((merging, found), comparison)| Report {
                out: self.out.clone(),
                runs: self.runs.clone(),
                gathered: gathered.filter(|_| needs_rows(&merging)),
                merging,
                found,
                comparison,
            });
        let reports: Vec<Report> = reports.collect();
        if let (Some(out), Some(model), [report]) = (&self.out, models.pop(), reports.as_slice()) {
            write::folder(out, |path| {
                save(&loaded[0].0.with_model(model), path, &description)?;
                let json = serde_json::to_string_pretty(report)? + "\n";
                anyhow::Ok(write::atomic(&path.join("merge.json"), json.as_bytes())?)
            })?;
        }
        let reports = reports
            .into_iter()
            .map(|report| Outcome::Merged(Box::new(report)));
        Ok(reports.chain(refused).collect())
    }

    /// The rows that rules look at, where one does.
    fn held<T: Clone>(
        &self,
        runs: &Runs,
        splits: &Splits<'_, T>,
    ) -> (Option<Vec<T>>, Option<Part>) {
        if !runs.mergings.iter().any(needs_rows) {
            return (None, None);
        }
        let trained_on = splits.kept.is_empty();
        let from = if trained_on {
            splits.train
        } else {
            splits.kept
        };
        let key = Key::new(0).purpose("rows of merging");
        let chosen = part(from.len(), self.rows, key).into_iter();
        let rows: Vec<T> = chosen.map(|i| from[i].clone()).collect();
        let told = Part {
            rows: rows.len(),
            trained_on,
        };
        (Some(rows), Some(told))
    }
}

impl Runs {
    /// The experts of the one run, or the runs.
    fn candidates<M: Adaptable>(
        &self,
        mut models: Vec<M>,
        bare: impl Fn() -> Result<M>,
    ) -> Result<Candidates<M>> {
        let candidates = if models.len() == 1 {
            Candidates::of_run(models.remove(0))
        } else {
            let merged = models
                .into_iter()
                .zip(&self.configs)
                .map(|(model, config)| {
                    let rule = config.merging.rule_for(&model)?;
                    Ok(model.joined(rule.as_ref())?)
                });
            Candidates::of_runs(merged.collect::<Result<_>>()?, &bare()?)
        }?;
        for merging in &self.mergings {
            merging.check_banks(&candidates.mixture.banks())?;
        }
        Ok(candidates)
    }
}

/// The `[merging]` table of a run with what the command line says of it.
pub(super) fn merging(config: &RunConfig, rule: Option<&str>, set: &[String]) -> Result<Merging> {
    let mut merging = config.merging.clone();
    if let Some(rule) = rule {
        merging = Merging {
            rule: rule.to_owned(),
            ..Merging::default()
        };
    }
    config::with_settings("merging", merging, set)
}

/// What the runs' adapters are, if that is one thing.
fn one_description<'a>(all: impl Iterator<Item = &'a AdapterConfig>) -> Result<AdapterConfig> {
    let merged = |config: &AdapterConfig| AdapterConfig {
        attachments: Vec::new(),
        merged: true,
        ..config.clone()
    };
    let mut all = all.map(merged);
    let first = all.next().context("no run")?;
    ensure!(
        all.all(|other| other == first),
        "the runs' adapters differ in their pooling, labels or longest input"
    );
    Ok(first)
}
