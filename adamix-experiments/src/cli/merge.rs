//! `adamix merge`.

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
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::show;
use crate::config::{self, Merging, RunConfig};
use crate::merge::{
    Candidates, ClassificationRows, Comparison, Found, Gatherer, GenerationRows, Rows, compare,
    needs_rows, part,
};
use crate::recipe::generation::{DecoderBase, GenerationData};
use crate::recipe::{Base, TaskData};
use crate::run::{Metrics, RunFolder};

/// Merge the experts of a run by any rule, or several runs into one, and say how far the result is from the
/// ensemble.
#[derive(Debug, Args)]
#[command(after_help = "\
One run: its experts become one module a site. Several runs of one shape: each is merged by its own rule first, then the
runs are merged, heads included. Rules: uniform, weighted, ties, dare, magnitude, product-svd, concatenation; and with rows
of the training split fisher, regmean, greedy-soup and learned-soup. Their options, and other rules for some sites, are keys
of the [merging] table. The rows are those that input.kept_for_merging kept from training; of a run that kept none they are rows
that it was trained on, which is said. The development split is for the report only.
The new folder is one that `predict --adapter`, `evaluate --adapter`, `generate --adapter` and `export` take; merge.json in
it is the report.

Examples:
  adamix merge runs/mrpc --rule ties --set merging.options.density=0.3 --out ties
  adamix merge runs/mrpc --rule regmean --out regmean --json
  adamix merge runs/mrpc --set 'merging.overrides=[{sites=\"layer.0.*\", bank=\"down\", rule=\"dare\"}]' --out mixed
  adamix merge runs/seed-1 runs/seed-2 runs/seed-3 --rule greedy-soup --out soup
  adamix evaluate runs/mrpc --adapter ties")]
pub struct Merge {
    /// The runs' folders.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The new folder.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The rule; without it, that of the (first) run.
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
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

/// Which state of a run's model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum State {
    /// The best epoch.
    Best,
    /// The last epoch.
    Last,
}

impl State {
    /// The folder of its adapter in a run.
    pub(super) fn adapter(self) -> &'static str {
        match self {
            Self::Best => "adapter/best",
            Self::Last => "adapter/last",
        }
    }
}

/// `merge.json`.
#[derive(Debug, Serialize)]
struct Report {
    out: PathBuf,
    runs: Vec<PathBuf>,
    /// The `[merging]` table.
    merging: Merging,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    found: Vec<Found>,
    /// What data a rule has seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    gathered: Option<Part>,
    /// On the development split.
    #[serde(flatten)]
    comparison: Comparison,
}

/// Rows of the training split.
#[derive(Clone, Copy, Debug, Serialize)]
struct Part {
    rows: usize,
    /// Whether the runs were trained on them.
    trained_on: bool,
}

/// The runs, opened.
struct Runs {
    folders: Vec<RunFolder>,
    configs: Vec<RunConfig>,
    merging: Merging,
}

impl Merge {
    pub fn run(self) -> Result<()> {
        let occupied = (self.out.read_dir()).is_ok_and(|mut entries| entries.next().is_some());
        let out = self.out.display();
        ensure!(!occupied, "{out}: not empty; choose another --out");
        let folders: Vec<RunFolder> =
            (self.runs.iter().map(|path| RunFolder::open(path))).collect::<Result<_>>()?;
        let configs: Vec<RunConfig> =
            (folders.iter().map(RunFolder::config)).collect::<Result<_>>()?;
        let data = |run: &RunFolder| Ok(run.result()?.identity.data_hash);
        let hashes: Vec<String> = folders.iter().map(data).collect::<Result<_>>()?;
        for i in 1..hashes.len() {
            let kept = configs[i].input == configs[0].input;
            ensure!(
                hashes[i] == hashes[0] && configs[i].task == configs[0].task && kept,
                "{}: trained on other data, or other rows of it, than {}",
                self.runs[i].display(),
                self.runs[0].display()
            );
        }
        let runs = Runs {
            merging: merging(&configs[0], self.rule.as_deref(), &self.set)?,
            folders,
            configs,
        };
        let device = crate::device::open(&self.device)?.autodiff();
        let report = match runs.configs[0].corpus() {
            Some(corpus) => self.decoder(&runs, corpus, &device)?,
            None => self.encoder(&runs, &device)?,
        };
        if self.json {
            return show::json(&report);
        }
        report.say()
    }

    fn encoder(&self, runs: &Runs, device: &Device) -> Result<Report> {
        let config = &runs.configs[0];
        let base = match &self.model {
            Some(folder) => Base::open(folder)?,
            None => Base::open(&config.model_folder()?)?,
        };
        let data = TaskData::load(config)?;
        let open = |run: &RunFolder| base.with_adapter(&run.file(self.state.adapter()), device);
        let loaded = (runs.folders.iter().map(open)).collect::<Result<Vec<_>>>()?;
        let models = loaded.iter().map(|(adapted, _)| adapted.model.clone());
        let candidates = runs.candidates(models.collect())?;
        let description = one_description(loaded.iter().map(|(_, description)| description))?;
        let rows = |examples| ClassificationRows::new(&base, &data, config, examples);
        let (held, told) = self.held(runs, &data.kept, &data.train);
        let held = held.map(rows).transpose()?;
        let dev = rows(data.dev.clone())?;
        let (model, report) = self.merge(runs, &candidates, held.as_ref(), told, &dev)?;
        self.save(&report, |path| {
            loaded[0]
                .0
                .with_model(model)
                .save_served(path, &description, &base)
        })?;
        Ok(report)
    }

    fn decoder(&self, runs: &Runs, corpus: Corpus, device: &Device) -> Result<Report> {
        let config = &runs.configs[0];
        let base = match &self.model {
            Some(folder) => DecoderBase::open(folder)?,
            None => DecoderBase::open(&config.model_folder()?)?,
        };
        let data = GenerationData::load(config, corpus)?;
        let open = |run: &RunFolder| base.with_adapter(&run.file(self.state.adapter()), device);
        let loaded = (runs.folders.iter().map(open)).collect::<Result<Vec<_>>>()?;
        let models = loaded.iter().map(|(adapted, _)| adapted.model.clone());
        let candidates = runs.candidates(models.collect())?;
        let description = one_description(loaded.iter().map(|(_, description)| description))?;
        let rows = |pairs| GenerationRows::new(&base, pairs, config.input.max_length);
        let (held, told) = self.held(runs, &data.kept, &data.train);
        let held = held.map(rows).transpose()?;
        let dev = rows(data.dev.clone())?;
        let (model, report) = self.merge(runs, &candidates, held.as_ref(), told, &dev)?;
        self.save(&report, |path| {
            loaded[0]
                .0
                .with_model(model)
                .save_served(path, &description, &base)
        })?;
        Ok(report)
    }

    /// The rows that rules look at, where one does.
    fn held<T: Clone>(
        &self,
        runs: &Runs,
        held: &[T],
        train: &[T],
    ) -> (Option<Vec<T>>, Option<Part>) {
        if !needs_rows(&runs.merging) {
            return (None, None);
        }
        let trained_on = held.is_empty();
        let from = if trained_on { train } else { held };
        let key = Key::new(0).purpose("rows of merging");
        let chosen = part(from.len(), self.rows, key).into_iter();
        let rows: Vec<T> = chosen.map(|i| from[i].clone()).collect();
        let told = Part {
            rows: rows.len(),
            trained_on,
        };
        (Some(rows), Some(told))
    }

    fn merge<R: Rows>(
        &self,
        runs: &Runs,
        candidates: &Candidates<R::Model>,
        held: Option<&R>,
        gathered: Option<Part>,
        dev: &R,
    ) -> Result<(R::Model, Report)> {
        let config = &runs.configs[0];
        let progress = show::progress();
        progress.set_message("rows");
        let watch = |rows| progress.inc(rows);
        let gatherer = Gatherer {
            candidates,
            rows: held,
            batch_size: config.evaluation.batch_size,
            key: Key::new(config.seed).purpose("merging"),
            watch: &watch,
            found: RefCell::default(),
        };
        let rule = gatherer.rule(&runs.merging)?;
        let model = candidates.merged(rule.as_ref())?;
        let policy = config.routing.policy()?;
        let routed = (runs.folders.len() == 1 && policy.native_inference() != Inference::Merged)
            .then_some(policy.as_ref() as &dyn RoutingPolicy);
        let size = config.evaluation.batch_size;
        let comparison = compare(candidates, &model, routed, dev, size, &watch)?;
        progress.finish_and_clear();
        let report = Report {
            out: self.out.clone(),
            runs: self.runs.clone(),
            merging: runs.merging.clone(),
            found: gatherer.found.into_inner(),
            gathered,
            comparison,
        };
        Ok((model, report))
    }

    fn save(&self, report: &Report, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        write::folder(&self.out, |path| {
            fill(path)?;
            let json = serde_json::to_string_pretty(report)? + "\n";
            anyhow::Ok(write::atomic(&path.join("merge.json"), json.as_bytes())?)
        })
    }
}

impl Runs {
    /// The experts of the one run, or the runs.
    fn candidates<M: Adaptable>(&self, mut models: Vec<M>) -> Result<Candidates<M>> {
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
            Candidates::of_runs(merged.collect::<Result<_>>()?)
        }?;
        self.merging.check_banks(&candidates.mixture.banks())?;
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

impl Report {
    fn say(&self) -> Result<()> {
        let count = self.comparison.experts.len();
        let what = match self.runs.as_slice() {
            [run] => format!("{count} experts of {}", run.display()),
            _ => format!("{count} runs"),
        };
        say!(
            "{what}, merged by `{}` -> {}",
            self.merging.rule,
            self.out.display()
        )?;
        if let Some(part) = self.gathered {
            let note = if part.trained_on {
                "the runs were trained on them; input.kept_for_merging keeps some"
            } else {
                "kept from training"
            };
            say!(
                "  looked at {} rows of the training split ({note})",
                part.rows
            )?;
        }
        for found in &self.found {
            say!("  found {}", serde_json::to_string(found)?)?;
        }
        comparison(&self.comparison)
    }
}

/// A comparison in a few lines.
pub(super) fn comparison(found: &Comparison) -> Result<()> {
    let distance = |distance: &crate::merge::Distance| {
        let agreement = distance.agreement.map(|a| format!("; agreement {a:.4}"));
        format!(
            "logits differ by {:.4} (root mean square), {:.4} at most{}",
            distance.logits,
            distance.largest,
            agreement.unwrap_or_default()
        )
    };
    let scores = |name: &str, metrics: &Metrics| say!("  {name:<10} {}", show::metrics(metrics));
    scores("merged", &found.merged)?;
    scores("ensemble", &found.ensemble)?;
    for (i, metrics) in found.experts.iter().enumerate() {
        scores(&format!("expert {i}"), metrics)?;
    }
    say!(
        "  of the ensemble, over {} answers: {}; variance of the experts' logits {:.3e}",
        found.answers,
        distance(&found.distance),
        found.expert_variance
    )?;
    if let Some((metrics, from)) = &found.routed {
        scores("routed", metrics)?;
        say!("  of the model as its policy runs it: {}", distance(from))?;
    }
    Ok(())
}
