//! Successive halving: which trials go on to the next round.

use std::collections::BTreeMap;

use anyhow::Result;

use super::axes::Point;
use super::outcome::{Outcome, Score};
use super::search::{Halving, Search};
use super::settings::Settings;

/// The points of a round that go on. Trials compete within their case and grid point, by their mean over seeds;
/// while a run of a group is missing, nothing of that group goes on. A trial with a failed run drops out.
pub(super) fn survivors(
    search: &Search,
    halving: &Halving,
    round: &[(Point, String)],
    outcome: &dyn Fn(&str) -> Outcome,
) -> Result<Vec<Point>> {
    let drawn = search.keys()?;
    let mut groups: BTreeMap<String, BTreeMap<usize, Vec<Outcome>>> = BTreeMap::new();
    for (point, id) in round {
        let trials = groups.entry(group(point, &drawn)).or_default();
        let trial = point.trial.expect("searched points are trials");
        trials.entry(trial).or_default().push(outcome(id));
    }
    let kept: BTreeMap<String, Vec<usize>> = groups
        .into_iter()
        .map(|(name, trials)| (name, best(&trials, halving.factor)))
        .collect();
    let goes_on = |point: &Point| {
        let trial = point.trial.expect("searched points are trials");
        kept[&group(point, &drawn)].contains(&trial)
    };
    let points = round.iter().map(|(point, _)| point);
    Ok(points.filter(|p| goes_on(p)).cloned().collect())
}

/// What a point shares with those it competes with: all but its seed and what was drawn.
fn group(point: &Point, drawn: &[String]) -> String {
    let shared = |(key, _): &(&String, &toml::Value)| *key != "seed" && !drawn.contains(key);
    let rest: Settings = point
        .settings
        .iter()
        .filter(shared)
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    toml::to_string(&rest).expect("settings serialise")
}

/// The best `1 / factor` of the trials, at least one; the earlier of equals.
fn best(trials: &BTreeMap<usize, Vec<Outcome>>, factor: usize) -> Vec<usize> {
    let mut scored = Vec::new();
    for (trial, runs) in trials {
        if runs.iter().any(|run| matches!(run, Outcome::Missing)) {
            return Vec::new();
        }
        let scores: Option<Vec<f64>> = runs
            .iter()
            .map(|run| run.score().map(Score::worth))
            .collect();
        if let Some(scores) = scores {
            scored.push((*trial, scores.iter().sum::<f64>() / scores.len() as f64));
        }
    }
    scored.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let keep = trials.len().div_ceil(factor);
    scored
        .into_iter()
        .take(keep)
        .map(|(trial, _)| trial)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trials(scores: &[Outcome]) -> BTreeMap<usize, Vec<Outcome>> {
        scores.iter().map(|s| vec![*s]).enumerate().collect()
    }

    #[test]
    fn one_in_factor_goes_on_and_the_earlier_of_equals() {
        let done = Outcome::done;
        let scores = [done(0.5), done(0.9), done(0.9), Outcome::Failed];
        assert_eq!(best(&trials(&scores), 3), [1, 2]);
        assert_eq!(best(&trials(&scores), 4), [1]);
        assert_eq!(
            best(&trials(&[Outcome::Done(None), done(0.1)]), 2),
            [1],
            "an undefined score is none"
        );
    }

    #[test]
    fn nothing_goes_on_before_all_are_there() {
        let scores = [Outcome::done(0.5), Outcome::Missing];
        assert!(best(&trials(&scores), 2).is_empty());
    }
}
