//! From a run's folder to its record.

use std::collections::BTreeMap;
use std::path::Path;

use adamix_data::Target;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::recipe::TaskData;
use crate::report::record::{Curve, ModeRecord, Usage, short};
use crate::report::{Gold, Outputs, Record, StateRecord};
use crate::run::{Measured, RunFolder, rerun};

/// Parts of a run that its losses are averaged over.
const PARTS: usize = 50;

/// A line of `predictions/*.jsonl` where texts are generated.
#[derive(Debug, Deserialize)]
struct GeneratedLine {
    text: String,
}

/// A line of `predictions/*.jsonl`.
#[derive(Debug, Deserialize)]
struct Prediction {
    row: u32,
    logits: Vec<f32>,
    label: Value,
}

/// Reads a whole run's folder. `data` is what it was measured on.
///
/// # Errors
/// If a file is missing or cannot be understood.
pub fn record(
    folder: &RunFolder,
    data: &TaskData,
    modes: BTreeMap<String, ModeRecord>,
) -> Result<(Record, Gold)> {
    let gold = answers(data);
    let best = outputs(folder, "best", data)?;
    let last = outputs(folder, "last", data)?;
    // The best epoch's outputs only where they are not the last's.
    let best = (best != last).then_some(best);
    let mut record = bare(folder)?;
    record.gold = gold.name();
    record.best.outputs = best;
    record.last.outputs = Some(last);
    record.modes = modes;
    Ok((record, gold))
}

/// The same for a run that generates text: its outputs are texts, its scores those of the test split.
///
/// # Errors
/// If a file is missing or cannot be understood.
pub fn text_record(folder: &RunFolder) -> Result<Record> {
    let mut record = bare(folder)?;
    let result = folder.result()?;
    for (name, state) in [("best", &mut record.best), ("last", &mut record.last)] {
        let Some(tested) = result.test.get(name) else {
            continue;
        };
        state.bleu = tested.bleu.clone();
        for (part, scores) in &tested.scores {
            let named = scores
                .iter()
                .map(|(metric, value)| (column_name(metric), *value));
            match part.as_str() {
                "all" => state.metrics.extend(named),
                part => {
                    state.further.insert(part.to_owned(), named.collect());
                }
            }
        }
        let path = folder.file(&format!("predictions/{name}.jsonl"));
        let texts: Vec<GeneratedLine> = lines(&path)?;
        let texts = texts.into_iter().map(|line| line.text).collect();
        state.outputs = Some(Outputs::Texts(texts));
    }
    Ok(record)
}

/// A scorer's name for a metric as published columns spell it: `ROUGE_L` is `rouge_l`.
fn column_name(metric: &str) -> String {
    metric.to_lowercase().replace('-', "_")
}

/// All but the outputs.
fn bare(folder: &RunFolder) -> Result<Record> {
    let result = folder.result()?;
    let config = folder.config()?;
    let seconds = result.seconds.iter();
    Ok(Record {
        id: result.identity.id,
        base_hash: result.identity.base_hash,
        data_hash: result.identity.data_hash,
        semantics: result.identity.semantics,
        config: rerun(&config),
        task: result.task,
        method: result.method,
        inference: serde_json::to_value(result.inference)?
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        gold: String::new(),
        best: state(result.best),
        last: state(result.last),
        modes: BTreeMap::new(),
        curve: curve(folder, &result.selection)?,
        selection: result.selection,
        usage: usage(folder)?,
        rows: result.rows,
        parameters: result.parameters,
        stored_bytes: result.stored_bytes,
        seconds: seconds
            .map(|(part, s)| (part.clone(), (s * 10.0).round() / 10.0))
            .collect(),
        device: result.device,
        version: result.version,
    })
}

/// The answers of the development split.
pub fn answers(data: &TaskData) -> Gold {
    let rows: Vec<u32> = data.dev.iter().map(|example| example.id).collect();
    let targets: Vec<Target> = data.dev.iter().map(|example| example.target).collect();
    Gold::of(&data.task, &rows, &targets)
}

fn state(measured: Measured) -> StateRecord {
    StateRecord {
        epoch: measured.epoch,
        step: measured.step,
        metrics: measured.metrics,
        further: measured.further,
        outputs: None,
        bleu: Vec::new(),
    }
}

fn outputs(folder: &RunFolder, state: &str, data: &TaskData) -> Result<Outputs> {
    let path = folder.file(&format!("predictions/{state}.jsonl"));
    let lines: Vec<Prediction> = lines(&path)?;
    let logits: Vec<Vec<f32>> = lines.iter().map(|line| line.logits.clone()).collect();
    let scores: Vec<f64> = lines
        .iter()
        .map(|line| line.label.as_f64().unwrap_or_default())
        .collect();
    ensure!(
        lines
            .iter()
            .map(|line| line.row)
            .eq(data.dev.iter().map(|e| e.id)),
        "{}: its rows are not those of the data",
        path.display()
    );
    Ok(Outputs::of(&data.task, &logits, &scores))
}

/// The objects of a file of JSON lines.
fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{}: cannot be read", path.display()))?;
    let parse = |line: &str| serde_json::from_str(line).with_context(|| path.display().to_string());
    text.lines().map(parse).collect()
}

/// Losses averaged over parts of the run, and the selection metric after each epoch.
fn curve(folder: &RunFolder, selection: &str) -> Result<Curve> {
    let path = folder.file("metrics.jsonl");
    let mut steps: Vec<(usize, f64, Option<f64>)> = Vec::new();
    let mut curve = Curve::default();
    for value in lines::<Value>(&path)? {
        let step = value["step"].as_u64().unwrap_or_default() as usize;
        if let Some(metrics) = value.get("metrics") {
            if value["split"] == "dev" {
                curve
                    .scores
                    .push((step, metrics[selection].as_f64().map(short)));
            }
        } else if let Some(loss) = value["task_loss"].as_f64().or(value["loss"].as_f64()) {
            steps.push((step, loss, value["consistency_loss"].as_f64()));
        }
    }
    let size = steps.len().div_ceil(PARTS).max(1);
    for part in steps.chunks(size) {
        let n = part.len() as f64;
        let loss = part.iter().map(|(_, loss, _)| loss).sum::<f64>() / n;
        let consistency: Option<Vec<f64>> = part.iter().map(|(_, _, c)| *c).collect();
        let consistency = consistency.map(|c| short(c.iter().sum::<f64>() / n));
        let last = part.last().map_or(0, |(step, ..)| *step);
        curve.losses.push((last, short(loss), consistency));
    }
    Ok(curve)
}

/// The draws of the down sides, counted over parts of the run; none without a trace.
fn usage(folder: &RunFolder) -> Result<Option<Usage>> {
    let path = folder.file("trace.jsonl");
    if !path.is_file() {
        return Ok(None);
    }
    let steps: Vec<Value> = lines(&path)?;
    let size = steps.len().div_ceil(PARTS).max(1);
    let parts = steps.len().div_ceil(size);
    let mut sites: BTreeMap<String, Vec<Vec<u32>>> = BTreeMap::new();
    for (i, step) in steps.iter().enumerate() {
        let micros = step["micro"].as_array().into_iter().flatten();
        let passes = micros.flat_map(|micro| micro["passes"].as_array().into_iter().flatten());
        for (site, decision) in passes.flat_map(|pass| pass.as_object().into_iter().flatten()) {
            let counts = sites
                .entry(site.clone())
                .or_insert_with(|| vec![Vec::new(); parts]);
            for expert in experts(&decision["down"]) {
                let part = &mut counts[i / size];
                part.resize(part.len().max(expert + 1), 0);
                part[expert] += 1;
            }
        }
    }
    let mut sites: Vec<(String, Vec<Vec<u32>>)> = sites.into_iter().collect();
    // In the order of layers: 10 after 9.
    sites.sort_by_key(|(name, _)| name.split('.').map(natural).collect::<Vec<_>>());
    for (_, parts) in &mut sites {
        let experts = parts.iter().map(Vec::len).max().unwrap_or(0);
        parts.iter_mut().for_each(|part| part.resize(experts, 0));
    }
    let last = steps
        .last()
        .and_then(|step| step["step"].as_u64())
        .unwrap_or_default();
    Ok(Some(Usage {
        steps: last as usize,
        sites,
    }))
}

/// A part of a path, numbers before words and by their size.
fn natural(part: &str) -> (bool, u64, String) {
    match part.parse() {
        Ok(number) => (false, number, String::new()),
        Err(_) => (true, 0, part.to_owned()),
    }
}

/// The experts of a decision's side: one, or one for each example. Weights name none.
fn experts(side: &Value) -> Vec<usize> {
    match side {
        Value::Number(expert) => expert.as_u64().map(|e| e as usize).into_iter().collect(),
        Value::Array(all) => all
            .iter()
            .filter_map(|e| e.as_u64().map(|e| e as usize))
            .collect(),
        _ => Vec::new(),
    }
}
