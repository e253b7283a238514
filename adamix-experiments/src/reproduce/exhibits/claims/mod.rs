//! The paper's claims, one by one: did they hold here, with the test and its power.

mod list;

use anyhow::Result;

use super::table1;
use crate::report::document::{Cell, Document, Heading, Line, Origin};
use crate::reproduce::columns::columns;
use crate::reproduce::exhibit::Exhibit;
use crate::reproduce::methods;
use crate::reproduce::profile::Profile;
use crate::reproduce::view::{Compared, View};
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

/// What became of a claim, in the order in which the page has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Held,
    Reversed,
    NotSeen,
    OneSeed,
    NotRun,
}

impl Verdict {
    const ALL: [Self; 5] = [
        Self::Held,
        Self::Reversed,
        Self::NotSeen,
        Self::OneSeed,
        Self::NotRun,
    ];

    fn text(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Reversed => "reversed",
            Self::NotSeen => "not seen",
            Self::OneSeed => "one seed: no test",
            Self::NotRun => "not run",
        }
    }
}

/// A claim on a task.
struct Tested {
    words: &'static str,
    says: Says,
    task: String,
    key: String,
    scale: f64,
    digits: usize,
    metric: String,
    paper: Option<f64>,
    /// Rows whose rate nobody searched for.
    assumed: Vec<String>,
    found: Option<Compared>,
}

impl Claim {
    fn tested(&self, view: &View<'_>) -> Result<Vec<Tested>> {
        let tasks = self.grid.tasks(view.profile);
        let columns = columns(self.grid.table(), &tasks);
        let mut tested = Vec::new();
        for task in &tasks {
            let mut of_task = columns.iter().filter(|c| c.task == *task);
            // Of a task's measures the first that the paper has of both.
            let known = of_task.clone().find(|c| self.paper(c).is_some());
            let Some(column) = known.or_else(|| of_task.next()) else {
                continue;
            };
            let want =
                |side: Side| -> Result<Want> { Ok(self.grid.want(methods::row(side.0)?, task)) };
            let (first, second) = (want(self.first)?, want(self.second)?);
            let found = view.compare(
                (&first, self.first.1),
                (&second, self.second.1),
                &column.metric,
            )?;
            let mut assumed = Vec::new();
            for want in [&first, &second] {
                if found.is_some() && view.rate_is_assumed(want)? {
                    assumed.push(format!("{}, {}", want.row.label, column.title));
                }
            }
            tested.push(Tested {
                words: self.words,
                says: self.says,
                task: column.title.clone(),
                key: format!(
                    "{}-{}-{}-{}",
                    self.grid.published,
                    Self::name(self.first),
                    Self::name(self.second),
                    column.key
                ),
                scale: f64::from(column.scale),
                digits: column.digits,
                metric: column.metric.clone(),
                paper: self.paper(column),
                assumed,
                found,
            });
        }
        Ok(tested)
    }
}

/// The p-values of a page, corrected as one family (Holm). Two tables may compare the same runs by the same measure: that
/// is one test.
fn corrected(tested: &[Tested]) -> Vec<Option<f64>> {
    let mut family: Vec<&Tested> = Vec::new();
    for test in tested.iter().filter(|test| test.p().is_some()) {
        if !family.iter().any(|known| known.is_same_as(test)) {
            family.push(test);
        }
    }
    let p: Vec<f64> = family.iter().filter_map(|test| test.p()).collect();
    let adjusted = holm(&p);
    let of = |test: &Tested| {
        test.p()?;
        let place = family.iter().position(|known| known.is_same_as(test))?;
        Some(adjusted[place])
    };
    tested.iter().map(of).collect()
}

impl Tested {
    /// Whether it is the same test on the same runs.
    fn is_same_as(&self, other: &Self) -> bool {
        let runs = |test: &Self| test.found.as_ref().map(|found| found.runs.clone());
        (self.says, &self.metric, runs(self)) == (other.says, &other.metric, runs(other))
    }

    /// The p-value that the claim rests on.
    fn p(&self) -> Option<f64> {
        let found = &self.found.as_ref()?.comparison;
        match self.says {
            Says::Better => found.p(),
            Says::Alike => (found.noise()?).p_within(MARGIN, found.difference, found.seeds),
        }
    }

    fn verdict(&self, adjusted: Option<f64>) -> Verdict {
        let Some(found) = &self.found else {
            return Verdict::NotRun;
        };
        match (adjusted, self.says) {
            (None, _) => Verdict::OneSeed,
            (Some(p), _) if p >= LEVEL => Verdict::NotSeen,
            (Some(_), Says::Better) if found.comparison.difference < 0.0 => Verdict::Reversed,
            (Some(_), _) => Verdict::Held,
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
                let tests = self.tests(&found.comparison, adjusted, signed).into_iter();
                cells.extend(tests.map(|cell| cell.resting_on(found.runs.concat())));
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
        [
            Cell::Text(signed(difference) + &range),
            Cell::Count(found.seeds),
            p(found.p_seeds),
            p(Some(found.p_examples)),
            p(adjusted),
            seen,
            needed,
            smallest,
            Cell::Text(self.verdict(adjusted).text().to_owned()),
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

/// What came of all claims, in a sentence.
fn outcome(verdicts: &[Verdict]) -> String {
    let of = |verdict: Verdict| verdicts.iter().filter(|v| **v == verdict).count();
    let [held, reversed, unseen, single, not_run] = Verdict::ALL.map(of);
    format!(
        "Of {} comparisons {} could be tested: {held} held, {reversed} reversed, {unseen} not seen. {single} more have one seed, {not_run} are not run.",
        verdicts.len(),
        held + reversed + unseen,
    )
}

fn caption(view: &View<'_>, tested: &[Tested]) -> Vec<String> {
    let mut caption = vec![
        format!(
            "Profile {}, on the models of that profile, whichever model the paper's table is about. Differences in points on the same seeds and rows, the bracket the bootstrap over both, which is too narrow for three or five seeds; p-values and power allow for their number. {}",
            view.profile.name,
            view.rule(table1::EXHIBIT.published).caption()
        ),
        "p, seeds: paired t-test over seeds. p, examples: approximate randomisation over examples. A claim rests on one test against both noises: the difference over the root of sd²/n, from the seeds, and the squared bootstrap error of the examples that all seeds share, with Welch's degrees of freedom; for alike two one-sided tests. p, Holm is its p-value corrected over all comparisons of this page, one that stands in two tables counted once: held or reversed below 0.05, else not seen, which is not the same as wrong.".to_owned(),
        "Power: the probability that this test, uncorrected, would have seen the paper's difference with our seeds; seeds needed: for a probability of 0.8, the examples being the same ones; seen with power 0.8: the smallest difference that our seeds and examples would have shown with that probability. The paper's difference of merging from random routing is that of figure 5 (from where its violin is widest, or from its upper end); from fixed routing and the ensemble that of table 7's means over tasks. The best draw is chosen on the rows it is measured on, which favours it.".to_owned(),
        "Without a test here: averages over tasks, that every variant of AdaMix is above full fine-tuning, that the loss without sharing grows as data shrink, and that sharing converges faster (see the loss curves).".to_owned(),
    ];
    let mut assumed: Vec<&str> = Vec::new();
    for row in tested.iter().flat_map(|test| &test.assumed) {
        if !assumed.contains(&row.as_str()) {
            assumed.push(row);
        }
    }
    if !assumed.is_empty() {
        caption.push(format!(
            "Learning rate and epochs are assumed, not searched, for {}: claims about them compare settings as much as methods.",
            assumed.join("; ")
        ));
    }
    caption
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
        let adjusted = corrected(&tested);
        let mut judged: Vec<_> = tested.iter().zip(adjusted).collect();
        judged.sort_by_key(|(test, adjusted)| test.verdict(*adjusted));
        let verdicts: Vec<Verdict> = judged.iter().map(|(t, p)| t.verdict(*p)).collect();
        let mut sentences = vec![outcome(&verdicts)];
        sentences.extend(caption(view, &tested));
        let lines = judged.iter().map(|(test, p)| test.line(*p)).collect();
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
            caption: sentences,
            corner: "Claim".to_owned(),
            head: head
                .iter()
                .map(|(key, title)| Heading::new(key, title))
                .collect(),
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
                Claim::name(claim.second),
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

    #[test]
    fn the_papers_differences_are_those_of_its_tables() {
        let paper = |words: &str, key: &str| {
            let claim = CLAIMS.iter().find(|claim| claim.words == words).unwrap();
            let columns = columns(claim.grid.table(), &["mrpc".to_owned()]);
            let column = columns.iter().find(|c| c.key == key).unwrap();
            let difference = claim.paper(column);
            difference.map(|points| (points * 100.0).round() / 100.0)
        };
        // Table 2 has F1 of its baselines, no accuracy: 92.4 - 90.9.
        let full = "Table 2: AdaMix is better than full fine-tuning";
        assert_eq!(paper(full, "mrpc_f1"), Some(1.5));
        // Figure 5: 89.5 against 85.0 where the violin is widest. Table 7: 84.5 - 83.7.
        assert_eq!(
            paper("Merging is better than random routing", "mrpc"),
            Some(4.5)
        );
        let fixed = "Merging is better than always the first module";
        assert_eq!(paper(fixed, "mrpc"), Some(0.8));
    }

    /// AdaMix against a rival over seeds, in points of a hundred.
    fn test(says: Says, rival: &str, points: f64, sd: Option<f64>, seeds: usize) -> Tested {
        let ids = |name: &str| (1..=seeds).map(|seed| format!("{name}-{seed}")).collect();
        let comparison = Comparison {
            seeds,
            examples: 400,
            difference: points / 100.0,
            sd: sd.map(|sd| sd / 100.0),
            rows_error: Some(0.005),
            interval: None,
            p_seeds: None,
            p_examples: 0.5,
        };
        Tested {
            words: "AdaMix is better",
            says,
            task: "MRPC".to_owned(),
            key: rival.to_owned(),
            scale: 100.0,
            digits: 1,
            metric: "accuracy".to_owned(),
            paper: None,
            assumed: Vec::new(),
            found: Some(Compared {
                comparison,
                runs: [ids("adamix"), ids(rival)],
            }),
        }
    }

    #[test]
    fn a_verdict_follows_from_the_test() {
        let verdict = |test: &Tested| {
            let adjusted = corrected(std::slice::from_ref(test))[0];
            test.line(adjusted).cells.last().unwrap().text()
        };
        let better = |points, sd, seeds| verdict(&test(Says::Better, "full", points, sd, seeds));
        assert_eq!(better(5.0, Some(0.5), 5), "held");
        assert_eq!(better(-5.0, Some(0.5), 5), "reversed");
        assert_eq!(better(0.6, Some(0.5), 5), "not seen");
        assert_eq!(better(5.0, None, 1), "one seed: no test");
        let alike = |points, sd| verdict(&test(Says::Alike, "full", points, Some(sd), 400));
        assert_eq!(alike(0.1, 0.5), "held");
        assert_eq!(alike(0.9, 0.5), "not seen");
        let never_run = Tested {
            found: None,
            ..test(Says::Better, "full", 0.0, None, 1)
        };
        assert_eq!(never_run.line(None).cells.last(), Some(&Cell::NotRun));
    }

    #[test]
    fn the_outcome_counts_every_verdict() {
        use Verdict::{Held, NotRun, NotSeen, OneSeed, Reversed};
        assert_eq!(
            outcome(&[Held, Held, Reversed, NotSeen, OneSeed, NotRun, NotRun]),
            "Of 7 comparisons 4 could be tested: 2 held, 1 reversed, 1 not seen. 1 more have one seed, 2 are not run."
        );
    }

    #[test]
    fn a_test_that_stands_in_two_tables_counts_once() {
        let page =
            || ["full", "full", "lora"].map(|rival| test(Says::Better, rival, 2.0, Some(1.0), 5));
        let alone = page()[0].p().unwrap();
        let found: Vec<f64> = corrected(&page()).into_iter().flatten().collect();
        // Two tests with one p: both are doubled.
        assert_eq!(found, [2.0 * alone; 3]);
        let mut by_f1 = page();
        by_f1[1].metric = "f1".to_owned();
        assert_eq!(corrected(&by_f1)[0], Some(3.0 * alone));
        let mut without = page();
        without[2].found = None;
        assert_eq!(corrected(&without), [Some(alone), Some(alone), None]);
    }
}
