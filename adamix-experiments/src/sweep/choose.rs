//! The best setting of a sweep, by a rule that its file states.

use anyhow::{Result, bail, ensure};
use serde::Serialize;
use toml::Table;

use super::file::{Cases, SweepFile};
use super::outcome::{Outcome, Score};
use super::plan::Spec;
use super::settings::Settings;
use crate::config;

/// The setting chosen for one group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// What it changes of the sweep's config, without seeds.
    pub settings: Settings,
    /// Its mean over seeds, as it is measured.
    pub mean: f64,
    /// The same such that more is better.
    pub score: f64,
    /// How many seeds.
    pub seeds: usize,
    /// How many settings it was compared with, itself included.
    pub candidates: usize,
    /// How many of them dropped out because a run failed or has no score.
    pub dropped: usize,
}

/// Chooses by the mean over seeds, in the last round; the earlier of equals.
///
/// # Errors
/// If a run is missing, or nothing in a group has a score.
pub fn choose(
    file: &SweepFile,
    specs: &[Spec],
    outcome: &dyn Fn(&str) -> Outcome,
) -> Result<Vec<Choice>> {
    let missing = |spec: &&Spec| outcome(&spec.id) == Outcome::Missing;
    let missing = specs.iter().filter(missing).count();
    ensure!(
        missing == 0,
        "{missing} of {} runs are not done: a choice among the others would not be fair; run the sweep to its end",
        specs.len()
    );
    let halving = (file.search.as_ref()).and_then(|search| search.halving.as_ref());
    let rounds = halving.map_or(1, |halving| halving.values.len());
    let reached = specs.iter().map(|spec| spec.round + 1).max().unwrap_or(0);
    ensure!(
        reached >= rounds,
        "round {reached} of {rounds} is the last that was planned: run the sweep to its end"
    );
    let without_seed = |spec: &Spec| {
        let mut settings = spec.settings.clone();
        settings.remove("seed");
        settings
    };
    let mut groups: Vec<(Settings, Vec<&Spec>)> = Vec::new();
    for spec in specs {
        let mut of = Settings::new();
        for key in &file.choose.for_each {
            // A plan has it on an axis.
            of.extend(
                spec.settings
                    .get(key)
                    .map(|value| (key.clone(), value.clone())),
            );
        }
        match groups.iter_mut().find(|(name, _)| *name == of) {
            Some((_, members)) => members.push(spec),
            None => groups.push((of, vec![spec])),
        }
    }
    let mut choices = Vec::new();
    for (of, members) in groups {
        let last = members.iter().map(|spec| spec.round).max().unwrap_or(0);
        let mut candidates: Vec<(Settings, Vec<Option<Score>>)> = Vec::new();
        for spec in members.iter().filter(|spec| spec.round == last) {
            let score = outcome(&spec.id).score();
            let settings = without_seed(spec);
            match candidates.iter_mut().find(|(s, _)| *s == settings) {
                Some((_, scores)) => scores.push(score),
                None => candidates.push((settings, vec![score])),
            }
        }
        let count = candidates.len();
        let mut best: Option<Choice> = None;
        let mut dropped = 0;
        for (settings, scores) in candidates {
            let Some(scores) = scores.into_iter().collect::<Option<Vec<Score>>>() else {
                dropped += 1;
                continue;
            };
            let mean = |value: fn(&Score) -> f64| {
                scores.iter().map(value).sum::<f64>() / scores.len() as f64
            };
            let score = mean(|score| score.worth());
            if best.as_ref().is_none_or(|best| score > best.score) {
                best = Some(Choice {
                    settings,
                    mean: mean(|score| score.value),
                    score,
                    seeds: scores.len(),
                    candidates: count,
                    dropped: 0,
                });
            }
        }
        let Some(mut best) = best else {
            bail!(
                "no setting has a value of {}{}",
                file.choose.name(),
                match of.is_empty() {
                    true => String::new(),
                    false => format!(" for {of:?}"),
                }
            );
        };
        best.dropped = dropped;
        choices.push(best);
    }
    Ok(choices)
}

/// The choices as `[[case]]`s, which another sweep takes by `cases = "chosen.toml"`.
pub fn write_cases(file: &SweepFile, name: &str, choices: &[Choice]) -> Result<String> {
    let mut text = format!("# Chosen by the sweep `{name}`: {}.\n", file.choose.name());
    for choice in choices {
        let mut case = Table::new();
        for (key, value) in &choice.settings {
            config::put(&mut case, key, value.clone())?;
        }
        text += &format!(
            "\n# {:.4}: the mean of {}, the best of {}{}.\n",
            choice.mean,
            counted(choice.seeds, "run"),
            counted(choice.candidates, "setting"),
            match choice.dropped {
                0 => String::new(),
                dropped => format!(", {dropped} of which failed"),
            },
        );
        text += &toml::to_string(&Cases { case: vec![case] })?;
    }
    Ok(text)
}

fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Scores by id, for tests of choosing and halving.
#[cfg(test)]
pub(super) fn scores(pairs: &[(&str, f64)]) -> impl Fn(&str) -> Outcome {
    let scores: std::collections::BTreeMap<String, f64> =
        pairs.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect();
    move |id: &str| {
        scores
            .get(id)
            .map_or(Outcome::Missing, |value| Outcome::done(*value))
    }
}

#[cfg(test)]
mod tests {
    use super::super::criterion::Goal;
    use super::*;
    use crate::config::RunConfig;

    fn spec(id: &str, round: usize, settings: &str) -> Spec {
        Spec {
            id: id.to_owned(),
            settings: config::dotted(&settings.parse().unwrap()),
            trial: None,
            round,
            config: RunConfig::default(),
        }
    }

    fn file(text: &str) -> SweepFile {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_best_mean_over_seeds_wins_in_each_group() {
        let specs = [
            spec("a1", 0, "m.k = 'x'\no.lr = 1.0\nseed = 1"),
            spec("a2", 0, "m.k = 'x'\no.lr = 1.0\nseed = 2"),
            spec("b1", 0, "m.k = 'x'\no.lr = 2.0\nseed = 1"),
            spec("b2", 0, "m.k = 'x'\no.lr = 2.0\nseed = 2"),
            spec("c1", 0, "m.k = 'y'\no.lr = 1.0\nseed = 1"),
        ];
        let scores = scores(&[
            ("a1", 0.9),
            ("a2", 0.1),
            ("b1", 0.6),
            ("b2", 0.6),
            ("c1", 0.2),
        ]);
        let file = file("[choose]\nfor_each = [\"m.k\"]");
        let choices = choose(&file, &specs, &scores).unwrap();
        assert_eq!(choices.len(), 2);
        assert_eq!(choices[0].settings["o.lr"].as_float(), Some(2.0));
        assert_eq!((choices[0].seeds, choices[0].candidates), (2, 2));
        let text = write_cases(&file, "s", &choices).unwrap();
        let read: SweepFile = toml::from_str(&text).unwrap();
        assert_eq!(read.case.len(), 2);
        assert!(
            text.contains("# 0.6000: the mean of 2 runs, the best of 2 settings."),
            "{text}"
        );
    }

    #[test]
    fn the_file_tells_the_mean_as_it_was_measured() {
        let file = file("");
        let specs = [spec("a", 0, "o.lr = 1.0"), spec("b", 0, "o.lr = 2.0")];
        // A correlation may be below zero, and of a loss less is better.
        let correlation = scores(&[("a", -0.5), ("b", -0.125)]);
        let loss = |id: &str| {
            let value = if id == "a" { 0.25 } else { 0.75 };
            let goal = Goal::Min;
            Outcome::Done(Some(Score { value, goal }))
        };
        for (outcome, rate, told) in [
            (&correlation as &dyn Fn(&str) -> Outcome, 2.0, "# -0.1250:"),
            (&loss, 1.0, "# 0.2500:"),
        ] {
            let choices = choose(&file, &specs, outcome).unwrap();
            assert_eq!(choices[0].settings["o.lr"].as_float(), Some(rate));
            let text = write_cases(&file, "s", &choices).unwrap();
            assert!(text.contains(told), "{text}");
        }
    }

    #[test]
    fn only_the_last_round_counts_and_nothing_may_be_missing() {
        let specs = [
            spec("a", 0, "o.lr = 1.0\nschedule.epochs = 1"),
            spec("b", 0, "o.lr = 2.0\nschedule.epochs = 1"),
            spec("c", 1, "o.lr = 1.0\nschedule.epochs = 3"),
        ];
        let all = scores(&[("a", 0.5), ("b", 0.9), ("c", 0.6)]);
        let choices = choose(&file(""), &specs, &all).unwrap();
        assert_eq!(choices[0].settings["o.lr"].as_float(), Some(1.0));
        let some = scores(&[("a", 0.5)]);
        let error = choose(&file(""), &specs, &some).unwrap_err().to_string();
        assert!(error.contains("2 of 3 runs are not done"), "{error}");
    }
}
