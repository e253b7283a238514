//! The answers of a split, kept once for all records that are measured against them.

use adamix_data::{Target, Task};
use serde::{Deserialize, Serialize};

use super::outputs::short;

/// The answers of a split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gold {
    /// The task.
    pub task: String,
    /// Row ids as ranges, `0-407`.
    pub rows: String,
    /// Class of each row, one digit each; `-` where not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<String>,
    /// Score of each row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Vec<f64>>,
}

impl Gold {
    /// The answers of examples.
    pub fn of(task: &Task, rows: &[u32], targets: &[Target]) -> Self {
        let digit = |target: &Target| match target {
            Target::Class(class) => char::from_digit(*class, 36).unwrap_or('-'),
            _ => '-',
        };
        let score = |target: &Target| f64::from(target.score().unwrap_or(f32::NAN));
        let regression = task.is_regression();
        Self {
            task: task.name.clone(),
            rows: ranges(rows),
            classes: (!regression).then(|| targets.iter().map(digit).collect()),
            scores: regression.then(|| targets.iter().map(|t| short(score(t))).collect()),
        }
    }

    /// The name under which it is kept: the task and the hash of its contents.
    pub fn name(&self) -> String {
        let text = serde_json::to_string(self).expect("answers serialise");
        let hash = blake3::hash(text.as_bytes()).to_hex();
        format!("{}-{}", self.task, &hash[..8])
    }

    /// The targets, in order.
    pub fn targets(&self) -> Vec<Target> {
        let class = |digit: char| digit.to_digit(36).map_or(Target::Unknown, Target::Class);
        match (&self.classes, &self.scores) {
            (Some(classes), _) => classes.chars().map(class).collect(),
            (None, Some(scores)) => scores.iter().map(|s| Target::Score(*s as f32)).collect(),
            (None, None) => Vec::new(),
        }
    }
}

/// `0-407`, `3,5-7`: ids in their order.
fn ranges(rows: &[u32]) -> String {
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for row in rows {
        match parts.last_mut() {
            Some((_, end)) if *end + 1 == *row => *end = *row,
            _ => parts.push((*row, *row)),
        }
    }
    let part = |(start, end): &(u32, u32)| match start == end {
        true => start.to_string(),
        false => format!("{start}-{end}"),
    };
    parts.iter().map(part).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_kept_whole() {
        let task = Task::by_name("mrpc").unwrap();
        let targets = [Target::Class(1), Target::Class(0), Target::Unknown];
        let gold = Gold::of(task, &[0, 1, 5], &targets);
        assert_eq!(gold.rows, "0-1,5");
        assert_eq!(gold.classes.as_deref(), Some("10-"));
        assert_eq!(gold.targets(), targets);
        let stsb = Task::by_name("stsb").unwrap();
        let targets = [Target::Score(2.5), Target::Score(5.0)];
        assert_eq!(Gold::of(stsb, &[0, 1], &targets).targets(), targets);
    }
}
