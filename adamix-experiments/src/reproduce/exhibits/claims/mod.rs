//! The paper's claims, one by one: did they hold here, with the test and its power.

mod list;

use anyhow::Result;

use super::{table1, table7};
use crate::report::document::{Cell, Document, Heading, Line, Origin};
use crate::report::published::PublishedTable;
use crate::reproduce::columns::columns;
use crate::reproduce::exhibit::Exhibit;
use crate::reproduce::methods;
use crate::reproduce::profile::Profile;
use crate::reproduce::view::View;
use crate::reproduce::want::Want;
use crate::statistics::{Comparison, holm};
use list::{CLAIMS, Claim, Says, Side};

/// The claims.
#[derive(Clone, Copy, Debug)]
pub struct Claims;

/// What counts as alike, on the scale of the scores: a point of a hundred.
const MARGIN: f64 = 0.01;

/// The level of every test.
const LEVEL: f64 = 0.05;

/// A claim on a task.
struct Tested {
    words: &'static str,
    says: Says,
    task: String,
    key: String,
    scale: f64,
    digits: usize,
    paper: Option<f64>,
    found: Option<Comparison>,
    runs: Vec<String>,
}

impl Claim {
    /// The published difference.
    fn paper(&self, table: &PublishedTable, column: &str) -> Option<f64> {
        let cell = |side| table.cell(Self::published(side), column);
        Some(cell(self.first)? - cell(self.second)?)
    }

    fn tested(&self, view: &View<'_>) -> Result<Vec<Tested>> {
        let tasks = self.grid.tasks(view.profile);
        let table = self.grid.table();
        let columns = columns(table, &tasks);
        let mut tested = Vec::new();
        for task in &tasks {
            let Some(column) = columns.iter().find(|c| c.task == *task) else {
                continue;
            };
            let want =
                |side: Side| -> Result<Want> { Ok(self.grid.want(methods::row(side.0)?, task)) };
            let (first, second) = (want(self.first)?, want(self.second)?);
            let (first, second) = ((&first, self.first.1), (&second, self.second.1));
            let found = view.compare(first, second, &column.metric)?;
            let (left, right): (Vec<_>, Vec<_>) = view.pairs(first, second)?.into_iter().unzip();
            let runs = left.into_iter().chain(right).map(|run| run.id.clone());
            let paper = self.paper(table, &column.key);
            // Where a table's own numbers are not known: the mean over tasks.
            let known = || {
                self.paper(table7::EXHIBIT.table(), "avg")
                    .filter(|_| self.is_of_modes())
            };
            let paper = paper.or_else(known);
            tested.push(Tested {
                words: self.words,
                says: self.says,
                task: column.title.clone(),
                key: format!(
                    "{}-{}-{}-{}",
                    self.grid.published,
                    Self::published(self.first),
                    Self::published(self.second),
                    column.key
                ),
                scale: f64::from(column.scale),
                digits: column.digits,
                paper,
                found,
                runs: runs.collect(),
            });
        }
        Ok(tested)
    }
}

impl Tested {
    /// The p-value that the claim rests on.
    fn p(&self) -> Option<f64> {
        let found = self.found.as_ref()?;
        match self.says {
            Says::Better => found.p(),
            Says::Alike => (found.noise()?).p_within(MARGIN, found.difference, found.seeds),
        }
    }

    fn line(&self, adjusted: Option<f64>) -> Line {
        let signed = |value: f64| format!("{:+.*}", self.digits, value);
        let paper = self.paper.map_or(Cell::Empty, |d| Cell::Text(signed(d)));
        let mut cells = vec![paper];
        match &self.found {
            None => {
                cells.resize(9, Cell::Empty);
                cells.push(Cell::NotRun);
            }
            Some(found) => {
                let tests = self.tests(found, adjusted, signed).into_iter();
                cells.extend(tests.map(|cell| cell.resting_on(self.runs.clone())));
            }
        }
        Line {
            key: self.key.clone(),
            label: format!("{}, {}", self.words, self.task),
            origin: Origin::Ours,
            cells,
        }
    }

    /// All cells but the paper's.
    fn tests(
        &self,
        found: &Comparison,
        adjusted: Option<f64>,
        signed: impl Fn(f64) -> String,
    ) -> [Cell; 9] {
        let difference = found.difference * self.scale;
        let range = found.interval.map_or(String::new(), |i| {
            format!(
                " [{}, {}]",
                signed(i.low * self.scale),
                signed(i.high * self.scale)
            )
        });
        let p = |p: Option<f64>| p.map_or(Cell::Empty, |p| Cell::Text(probability(p)));
        // The power to see what the paper saw, and the seeds that it would take.
        let effect = (self.paper.filter(|paper| *paper != 0.0)).map(|paper| paper / self.scale);
        let effect = effect
            .zip(found.noise())
            .filter(|_| self.says == Says::Better);
        let seen = effect.map_or(Cell::Empty, |(effect, noise)| {
            Cell::Text(format!("{:.2}", noise.power(effect, found.seeds, LEVEL)))
        });
        let needed = effect.map_or(Cell::Empty, |(effect, noise)| {
            match noise.seeds_needed(effect, LEVEL, 0.8) {
                Some(n) => Cell::Count(n),
                None => Cell::Text("not with these rows".to_owned()),
            }
        });
        let smallest = found
            .noise()
            .filter(|_| self.says == Says::Better)
            .and_then(|noise| noise.smallest_seen(found.seeds, LEVEL, 0.8));
        let smallest = smallest.map_or(Cell::Empty, |difference| {
            Cell::number(difference * self.scale, self.digits)
        });
        let verdict = match (adjusted, self.says) {
            (None, _) => "one seed: no test",
            (Some(p), Says::Alike) if p < LEVEL => "held",
            (Some(p), Says::Better) if p < LEVEL && difference > 0.0 => "held",
            (Some(p), Says::Better) if p < LEVEL => "reversed",
            (Some(_), _) => "not seen",
        };
        [
            Cell::Text(signed(difference) + &range),
            Cell::Count(found.seeds),
            p(found.p_seeds),
            p(Some(found.p_examples)),
            p(adjusted),
            seen,
            needed,
            smallest,
            Cell::Text(verdict.to_owned()),
        ]
    }
}

/// A p-value as it is printed.
fn probability(p: f64) -> String {
    if p < 0.001 {
        "<0.001".to_owned()
    } else {
        format!("{p:.3}")
    }
}

impl Exhibit for Claims {
    fn name(&self) -> &'static str {
        "claims"
    }

    fn title(&self) -> &'static str {
        "The paper's claims at this scale"
    }

    fn wants(&self, _: &Profile) -> Result<Vec<Want>> {
        // Only what other exhibits ran.
        Ok(Vec::new())
    }

    fn documents(&self, view: &View<'_>) -> Result<Vec<Document>> {
        let mut tested = Vec::new();
        for claim in &CLAIMS {
            tested.extend(claim.tested(view)?);
        }
        // One family: all comparisons that have a p-value.
        let p: Vec<f64> = tested.iter().filter_map(Tested::p).collect();
        let mut adjusted = holm(&p).into_iter();
        let lines = tested
            .iter()
            .map(|t| t.line(t.p().and_then(|_| adjusted.next())))
            .collect();
        let head = [
            ("paper", "paper's difference"),
            ("difference", "ours [95 %]"),
            ("seeds", "seeds"),
            ("p_seeds", "p, seeds"),
            ("p_examples", "p, examples"),
            ("p_holm", "p, Holm"),
            ("power", "power for the paper's"),
            ("needed", "seeds needed"),
            ("smallest", "seen with power 0.8"),
            ("verdict", "verdict"),
        ];
        Ok(vec![Document {
            name: "claims".to_owned(),
            title: format!("claims: {}", self.title()),
            caption: vec![
                format!("Profile {}. Differences in points on the same seeds and rows, the bracket the bootstrap over both. {}", view.profile.name, view.rule(table1::EXHIBIT.published).caption()),
                "p, seeds: paired t-test over seeds. p, examples: approximate randomisation over examples. A claim rests on one test against both noises: the difference over the root of sd²/n, from the seeds, and the squared bootstrap error of the examples, with Welch's degrees of freedom; for alike two one-sided tests. p, Holm is its p-value corrected over all comparisons of this page: held or reversed below 0.05, else not seen, which is not the same as wrong.".to_owned(),
                "Power: the probability that this test, uncorrected, would have seen the paper's difference with our seeds; seeds needed: for a probability of 0.8, the examples being the same ones; seen with power 0.8: the smallest difference that our seeds and examples would have shown with that probability. Of merging's rivals the paper's difference is that of its mean over tasks (table 7). Without a test here: that the loss without sharing grows as data shrink, and that sharing converges faster (see the loss curves).".to_owned(),
            ],
            corner: "Claim".to_owned(),
            head: head.iter().map(|(key, title)| Heading::new(key, title)).collect(),
            lines,
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_claim_names_rows_that_are_known() {
        let name = |claim: &Claim| {
            (
                claim.grid.published,
                claim.first.0,
                Claim::published(claim.second),
            )
        };
        let names: std::collections::BTreeSet<_> = CLAIMS.iter().map(name).collect();
        assert_eq!(names.len(), CLAIMS.len(), "two claims would have one key");
        for claim in &CLAIMS {
            methods::row(claim.first.0).unwrap();
            methods::row(claim.second.0).unwrap();
        }
        assert_eq!(probability(0.000_2), "<0.001");
        assert_eq!(probability(0.25), "0.250");
    }
}
