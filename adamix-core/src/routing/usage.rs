//! How often which expert was used: what `routing.json` says of a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Choice, Decision, Routes, Site};

/// Counts by site over many passes. A plain value: it goes into a checkpoint and comes back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    sites: BTreeMap<String, SiteUsage>,
}

/// Counts of one site. Each decision adds 1 to each side, in parts if it names several experts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct SiteUsage {
    decisions: u64,
    down: Vec<f64>,
    up: Vec<f64>,
}

/// What the counts of a site say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// How many decisions were made.
    pub decisions: u64,
    /// Of the down side.
    pub down: SideFigures,
    /// Of the up side.
    pub up: SideFigures,
}

/// What the counts of one side say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SideFigures {
    /// The part of the decisions that each expert has; adds up to 1.
    pub shares: Vec<f64>,
    /// Entropy of the shares over that of even shares: 1 where all are used alike, 0 where one is used.
    pub entropy: Option<f64>,
    /// The largest share: 1 where routing has collapsed.
    pub largest: f64,
    /// How many experts were never used.
    pub unused: usize,
}

impl Usage {
    /// Counts the decisions of a pass over the sites of a model.
    pub fn record(&mut self, routes: &Routes, sites: &[Site]) {
        for Site { name, down, up } in sites {
            let (Some(decision), (down, up)) = (routes.get(name), (*down, *up)) else {
                continue;
            };
            let usage = self.sites.entry(name.clone()).or_default();
            usage.decisions += 1;
            let [down, up] = match decision {
                Decision::Experts { down: d, up: u } => [parts(d, down), parts(u, up)],
                Decision::Mixed(mixed) => {
                    let weights: Vec<f64> =
                        mixed.mean_weights().iter().map(|w| (*w).into()).collect();
                    let side = |count| {
                        if count == 1 {
                            vec![1.0]
                        } else {
                            weights.clone()
                        }
                    };
                    [side(down), side(up)]
                }
            };
            add(&mut usage.down, &down);
            add(&mut usage.up, &up);
        }
    }

    /// The figures of every site.
    pub fn figures(&self) -> BTreeMap<String, Figures> {
        let figures = |usage: &SiteUsage| Figures {
            decisions: usage.decisions,
            down: side_figures(&usage.down),
            up: side_figures(&usage.up),
        };
        let sites = self.sites.iter();
        sites
            .map(|(site, usage)| (site.clone(), figures(usage)))
            .collect()
    }
}

fn add(sum: &mut Vec<f64>, parts: &[f64]) {
    sum.resize(parts.len().max(sum.len()), 0.0);
    for (sum, part) in sum.iter_mut().zip(parts) {
        *sum += part;
    }
}

/// The part of a decision that each expert has.
fn parts(choice: &Choice, count: usize) -> Vec<f64> {
    let mut parts = vec![0.0; count];
    let chosen: Vec<usize> = match choice {
        Choice::One(expert) => vec![*expert],
        Choice::PerExample(experts) => experts.clone(),
        Choice::PerToken(experts) => experts.concat(),
    };
    for expert in &chosen {
        parts[*expert] += 1.0 / chosen.len() as f64;
    }
    parts
}

fn side_figures(counts: &[f64]) -> SideFigures {
    let total: f64 = counts.iter().sum();
    let shares: Vec<f64> = counts.iter().map(|c| c / total).collect();
    let entropy: f64 = shares
        .iter()
        .filter(|s| **s > 0.0)
        .map(|s| -s * s.ln())
        .sum();
    SideFigures {
        entropy: (counts.len() > 1).then(|| entropy / (counts.len() as f64).ln()),
        largest: shares.iter().copied().fold(0.0, f64::max),
        unused: counts.iter().filter(|c| **c == 0.0).count(),
        shares,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_by_hand() {
        let mut usage = Usage::default();
        let mut record = |decision| {
            let routes = Routes::from([("a".to_owned(), decision)]);
            let site = Site {
                name: "a".to_owned(),
                down: 4,
                up: 1,
            };
            usage.record(&routes, &[site]);
        };
        record(Decision::one(0, 0));
        record(Decision::Experts {
            down: Choice::PerExample(vec![0, 1, 1, 1]),
            up: Choice::PerExample(vec![0; 4]),
        });
        let figures = &usage.figures()["a"];
        assert_eq!(figures.decisions, 2);
        assert_eq!(figures.down.shares, [0.625, 0.375, 0.0, 0.0]);
        assert_eq!((figures.down.largest, figures.down.unused), (0.625, 2));
        let entropy = -(0.625f64 * 0.625f64.ln() + 0.375 * 0.375f64.ln()) / 4f64.ln();
        assert!((figures.down.entropy.unwrap() - entropy).abs() < 1e-12);
        // A shared side has nothing to tell.
        assert_eq!((figures.up.entropy, figures.up.largest), (None, 1.0));
        let text = serde_json::to_string(&usage).unwrap();
        assert_eq!(serde_json::from_str::<Usage>(&text).unwrap(), usage);
    }
}
