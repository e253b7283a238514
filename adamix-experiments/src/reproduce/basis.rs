//! What a figure rests on, in words: the profile, and of each task its runs, seeds and rows.

use std::collections::BTreeSet;
use std::fmt;

use super::columns::heading;
use super::profile::Profile;
use crate::report::document::grouped;
use crate::report::{Outputs, Record};

/// What a figure rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    profile: String,
    unit: &'static str,
    tasks: Vec<OfTask>,
}

/// The runs of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
struct OfTask {
    name: String,
    runs: BTreeSet<String>,
    seeds: BTreeSet<u64>,
    /// How many of the unit each run has: one number but for splits of unlike size.
    n: BTreeSet<usize>,
}

impl Basis {
    /// Nothing as yet; `unit` is what n counts.
    pub fn new(profile: &Profile, unit: &'static str) -> Self {
        Self {
            profile: profile.name.clone(),
            unit,
            tasks: Vec::new(),
        }
    }

    /// The rows that some records are measured on.
    pub fn measured<'a>(profile: &Profile, records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut basis = Self::new(profile, "rows");
        for record in records {
            let kept = record.last.outputs.as_ref().map(Outputs::rows);
            let rows = kept.or_else(|| record.rows.get("dev").copied());
            basis.add(record, rows.unwrap_or(0));
        }
        basis
    }

    /// A run with its n. The same run twice is one.
    pub fn add(&mut self, record: &Record, n: usize) {
        let known = self.tasks.iter().position(|task| task.name == record.task);
        let at = known.unwrap_or_else(|| {
            self.tasks.push(OfTask {
                name: record.task.clone(),
                runs: BTreeSet::new(),
                seeds: BTreeSet::new(),
                n: BTreeSet::new(),
            });
            self.tasks.len() - 1
        });
        let task = &mut self.tasks[at];
        task.runs.insert(record.id.clone());
        task.seeds.insert(record.seed());
        task.n.insert(n);
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} profile", self.profile)?;
        for (i, task) in self.tasks.iter().enumerate() {
            let runs = match task.runs.len() {
                1 => "1 run".to_owned(),
                n => format!("{n} runs"),
            };
            let seeds = match task.seeds.len() {
                1 => "seed",
                _ => "seeds",
            };
            let n = match (task.n.first(), task.n.last()) {
                (Some(least), Some(most)) if least < most => {
                    format!("{} to {}", grouped(*least), grouped(*most))
                }
                (least, _) => grouped(least.copied().unwrap_or(0)),
            };
            write!(
                f,
                "{}{}: {runs} ({seeds} {}), n = {n} {}",
                if i == 0 { ", " } else { "; " },
                heading(&task.name),
                ranges(&task.seeds),
                self.unit
            )?;
        }
        Ok(())
    }
}

/// `1–4, 7`.
fn ranges(seeds: &BTreeSet<u64>) -> String {
    let mut parts: Vec<(u64, u64)> = Vec::new();
    for seed in seeds {
        match parts.last_mut() {
            Some((_, end)) if *end + 1 == *seed => *end = *seed,
            _ => parts.push((*seed, *seed)),
        }
    }
    let part = |(start, end): &(u64, u64)| match start == end {
        true => start.to_string(),
        false => format!("{start}–{end}"),
    };
    parts.iter().map(part).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::record::example;

    #[test]
    fn a_basis_names_profile_runs_seeds_and_rows() {
        let profile = Profile::named("laptop").unwrap();
        let record = |task: &str, method: &str, seed: u64| Record {
            id: format!("{task}-{method}-{seed}"),
            ..example(task, seed, &[1.0, -1.0, 2.0])
        };
        let one = [record("mrpc", "lora", 1)];
        assert_eq!(
            Basis::measured(&profile, &one).to_string(),
            "laptop profile, MRPC: 1 run (seed 1), n = 3 rows"
        );
        let mut several = vec![
            record("mrpc", "lora", 1),
            record("mrpc", "lora", 2),
            record("mrpc", "lora", 4),
            record("mrpc", "full", 1),
            record("mrpc", "full", 1),
            record("stsb", "full", 1),
        ];
        assert_eq!(
            Basis::measured(&profile, &several).to_string(),
            "laptop profile, MRPC: 4 runs (seeds 1–2, 4), n = 3 rows; STS-B: 1 run (seed 1), n = 3 rows"
        );
        // Of what is not kept whole the number of rows is.
        several.truncate(1);
        several[0].last.outputs = None;
        several[0].rows.insert("dev".to_owned(), 1630);
        assert_eq!(
            Basis::measured(&profile, &several).to_string(),
            "laptop profile, MRPC: 1 run (seed 1), n = 1,630 rows"
        );
        let mut parts = Basis::new(&profile, "draws a layer");
        parts.add(&one[0], 400);
        parts.add(&record("mrpc", "lora", 2), 500);
        assert_eq!(
            parts.to_string(),
            "laptop profile, MRPC: 2 runs (seeds 1–2), n = 400 to 500 draws a layer"
        );
    }
}
