//! From axes to points: every combination of cases, zipped lists, grid and drawn trials.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use toml::{Table, Value};

use super::file::SweepFile;
use super::settings::Settings;
use crate::config::dotted;

/// One setting of the sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What it changes.
    pub settings: Settings,
    /// The number of its draw, where settings are drawn.
    pub trial: Option<usize>,
}

/// One axis: its name in messages, and the settings along it.
type Axis = (String, Vec<Settings>);

/// More runs than anybody will wait for; a plan of them must not exhaust the memory.
pub(super) const MAX_RUNS: usize = 100_000;

/// All points. The seed changes slowest, then the trial: an interrupted sweep has every setting once before it
/// has any twice, and equally many trials of every case.
///
/// # Errors
/// If an axis is no list, is empty, or sets a key that another one sets.
pub fn points(file: &SweepFile) -> Result<Vec<Point>> {
    let mut axes = Vec::new();
    let mut grid = dotted(&file.grid);
    if let Some(seeds) = grid.remove("seed") {
        axes.push(list("grid.seed", "seed", seeds)?);
    }
    let trials = axes.len();
    if let Some(search) = &file.search {
        axes.push(("search.space".to_owned(), search.draws()?));
    }
    if !file.case.is_empty() {
        axes.push((
            "case".to_owned(),
            file.case.iter().map(dotted).collect::<Vec<_>>(),
        ));
    }
    for (number, table) in file.zip.iter().enumerate() {
        axes.push(zip(number + 1, table)?);
    }
    for (key, values) in grid {
        axes.push(list(&format!("grid.{key}"), &key, values)?);
    }
    let halving = (file.search.as_ref()).and_then(|search| search.halving.as_ref());
    let given = halving.map(|halving| Settings::from([(halving.key.clone(), Value::from(0))]));
    let owned = axes
        .iter()
        .map(|(place, steps)| (place.as_str(), steps.as_slice()));
    let further = given
        .iter()
        .map(|step| ("search.halving", std::slice::from_ref(step)));
    refuse_twice(owned.chain(further))?;

    let mut points = vec![Point {
        settings: Settings::new(),
        trial: None,
    }];
    for (number, (_, steps)) in axes.iter().enumerate() {
        ensure!(
            points.len().saturating_mul(steps.len()) <= MAX_RUNS,
            "a sweep has at most {MAX_RUNS} runs; these axes have more"
        );
        let mut next = Vec::with_capacity(points.len() * steps.len());
        for point in &points {
            for (index, step) in steps.iter().enumerate() {
                let mut point = point.clone();
                point.settings.extend(step.clone());
                if file.search.is_some() && number == trials {
                    point.trial = Some(index);
                }
                next.push(point);
            }
        }
        points = next;
    }
    Ok(points)
}

fn values(place: &str, value: Value) -> Result<Vec<Value>> {
    match value {
        Value::Array(values) if values.is_empty() => bail!("`{place}` is empty"),
        Value::Array(values) => Ok(values),
        value => {
            bail!("`{place}` is {value}, not a list; a value of all runs belongs into [config]")
        }
    }
}

/// A value at its key; a table as the keys in it, so that it leaves the others of its section alone.
fn setting(key: &str, value: Value) -> Settings {
    match value {
        Value::Table(table) => {
            let inner = dotted(&table).into_iter();
            inner
                .map(|(name, value)| (format!("{key}.{name}"), value))
                .collect()
        }
        value => Settings::from([(key.to_owned(), value)]),
    }
}

fn list(place: &str, key: &str, value: Value) -> Result<Axis> {
    let step = |value| setting(key, value);
    let steps = values(place, value)?.into_iter().map(step).collect();
    Ok((place.to_owned(), steps))
}

fn zip(number: usize, table: &Table) -> Result<Axis> {
    let mut steps: Vec<Settings> = Vec::new();
    for (position, (key, value)) in dotted(table).into_iter().enumerate() {
        let values = values(&format!("zip.{key}"), value)?;
        if position == 0 {
            steps = vec![Settings::new(); values.len()];
        }
        ensure!(
            values.len() == steps.len(),
            "`zip.{key}` has {} values, the lists before it {}: lists that move together are equally long",
            values.len(),
            steps.len()
        );
        for (step, value) in steps.iter_mut().zip(values) {
            step.extend(setting(&key, value));
        }
    }
    ensure!(
        !steps.is_empty(),
        "[[zip]] number {number} has no list in it"
    );
    Ok((format!("zip number {number}"), steps))
}

fn refuse_twice<'a>(axes: impl Iterator<Item = (&'a str, &'a [Settings])>) -> Result<()> {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for (place, steps) in axes {
        for key in steps.iter().flat_map(Settings::keys) {
            let owner = owners.entry(key).or_insert(place);
            ensure!(
                *owner == place,
                "`{key}` is set by both {owner} and {place}"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let file: SweepFile = toml::from_str(text).unwrap();
        let line = |point: Point| {
            let settings = point.settings.iter().map(|(k, v)| format!("{k}={v}"));
            settings.collect::<Vec<_>>().join(" ")
        };
        points(&file).unwrap().into_iter().map(line).collect()
    }

    fn refused(text: &str) -> String {
        let file: SweepFile = toml::from_str(text).unwrap();
        points(&file).unwrap_err().to_string()
    }

    #[test]
    fn a_grid_combines_each_with_each_and_the_seed_is_slowest() {
        let text = "[grid]\nseed = [1, 2]\n\"optimizer.learning_rate\" = [0.1, 0.2]\nadaptation.experts = [3]\n";
        assert_eq!(
            all(text),
            [
                "adaptation.experts=3 optimizer.learning_rate=0.1 seed=1",
                "adaptation.experts=3 optimizer.learning_rate=0.2 seed=1",
                "adaptation.experts=3 optimizer.learning_rate=0.1 seed=2",
                "adaptation.experts=3 optimizer.learning_rate=0.2 seed=2",
            ]
        );
    }

    #[test]
    fn zipped_lists_move_together_and_cases_stand_alone() {
        let text = "[[case]]\ntask = \"a\"\n[[case]]\ntask = \"b\"\nmodel = \"m\"\n\
                    [[zip]]\nschedule.epochs = [1, 2]\nschedule.batch_size = [8, 4]\n";
        assert_eq!(
            all(text),
            [
                "schedule.batch_size=8 schedule.epochs=1 task=\"a\"",
                "schedule.batch_size=4 schedule.epochs=2 task=\"a\"",
                "model=\"m\" schedule.batch_size=8 schedule.epochs=1 task=\"b\"",
                "model=\"m\" schedule.batch_size=4 schedule.epochs=2 task=\"b\"",
            ]
        );
    }

    #[test]
    fn a_table_in_a_list_sets_its_own_keys_alone() {
        let text =
            "[grid]\nadaptation = [{ method = \"lora\", rank = 8 }, { method = \"adamix\" }]\n";
        assert_eq!(
            all(text),
            [
                "adaptation.method=\"lora\" adaptation.rank=8",
                "adaptation.method=\"adamix\"",
            ]
        );
        let twice =
            refused("[grid]\nadaptation = [{ rank = 8 }]\n[[zip]]\n\"adaptation.rank\" = [4]\n");
        assert!(
            twice.contains("`adaptation.rank` is set by both"),
            "{twice}"
        );
    }

    #[test]
    fn more_runs_than_can_be_planned_are_refused() {
        let list = format!("{:?}", (0..400).collect::<Vec<_>>());
        let text = format!("[grid]\nseed = {list}\na = {list}\n");
        assert!(refused(&text).contains("at most 100000 runs"));
    }

    #[test]
    fn a_file_without_axes_is_one_run() {
        assert_eq!(all(""), [""]);
    }

    #[test]
    fn mistakes_are_named() {
        assert!(refused("[grid]\nseed = 3\n").contains("`grid.seed` is 3, not a list"));
        assert!(refused("[grid]\nseed = []\n").contains("`grid.seed` is empty"));
        assert!(
            refused("[[zip]]\na = [1, 2]\nb = [1]\n").contains("`zip.b` has 1 values"),
            "lengths"
        );
        assert!(
            refused("[[case]]\nseed = 1\n[grid]\nseed = [1]\n")
                .contains("`seed` is set by both grid.seed and case")
        );
    }
}
