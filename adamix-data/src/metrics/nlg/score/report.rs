//! Scores as they are handed over and written.

use super::super::bootstrap::{self, Comparison, Interval};
use super::super::error::ScoreError;
use super::metric::Statistics;
use super::options::Kind;
use adamix_keys::Key;
use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};

/// One score.
#[derive(Clone, Debug)]
pub struct Score {
    /// Its name, as the official programs print it.
    pub name: String,
    /// Its value for the corpus; `None` if it could not be computed.
    pub value: Option<f64>,
    /// Its bootstrap interval, if asked for.
    pub interval: Option<Interval>,
    /// Its values for single segments, if asked for.
    pub segments: Option<Vec<f64>>,
    /// What it was computed from.
    pub statistics: Option<Statistics>,
}

impl Score {
    /// A score that could not be computed.
    pub(super) fn missing(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: None,
            interval: None,
            segments: None,
            statistics: None,
        }
    }
}

/// A set of scores. As JSON: `{"scores": {name: value}}`, with `intervals`, `segments`, `signature` and
/// `notes` where there are any; a missing value is null.
#[derive(Clone, Debug)]
pub struct Scores {
    /// What was scored.
    pub kind: Kind,
    /// The scores in the official order.
    pub scores: Vec<Score>,
    /// Scores that exist for single segments only.
    pub extra_segments: Vec<(String, Vec<f64>)>,
    /// sacreBLEU's signature.
    pub signature: Option<String>,
    /// What the user should know, such as why a score is missing.
    pub notes: Vec<String>,
    /// What the segments are scored against, by hash.
    segments: Vec<u64>,
}

impl Scores {
    pub(super) fn new(kind: Kind, references: &[Vec<String>]) -> Self {
        let name = |texts: &Vec<String>| {
            let joined = texts.join("\n");
            Key::new(0).purpose(&joined).word()
        };
        Self {
            segments: references.iter().map(name).collect(),
            kind,
            scores: Vec::new(),
            extra_segments: Vec::new(),
            signature: None,
            notes: Vec::new(),
        }
    }

    /// The value of a score, if it was computed.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.scores.iter().find(|score| score.name == name)?.value
    }

    /// Paired bootstrap tests of this system against another on the same segments: one for every score
    /// that both have.
    ///
    /// # Errors
    /// If the segments are not the same ones in the same order.
    pub fn compare(
        &self,
        other: &Self,
        seed: u64,
        samples: usize,
    ) -> Result<Vec<(String, Comparison)>, ScoreError> {
        let (own, others) = (self.segments.len(), other.segments.len());
        let mut pairs = self.segments.iter().zip(&other.segments);
        let differs = pairs.position(|(a, b)| a != b);
        if own != others || differs.is_some() {
            return Err(ScoreError::Systems {
                first: own,
                second: others,
                segment: differs.unwrap_or(own.min(others)) + 1,
            });
        }
        let key = Key::new(seed).purpose("score");
        let pair = |score: &Score| {
            let twin = other.scores.iter().find(|twin| twin.name == score.name)?;
            let (first, second) = (score.statistics.as_ref()?, twin.statistics.as_ref()?);
            let comparison = first.resampled(|first| {
                second.resampled(|second| bootstrap::compare(first, second, key, samples))
            })?;
            Some((score.name.clone(), comparison))
        };
        Ok(self.scores.iter().filter_map(pair).collect())
    }
}

/// Name-value pairs as a JSON object, in their order.
struct Object<'a, T>(Vec<(&'a str, T)>);

impl<T: Serialize> Serialize for Object<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Scores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let finite = |values: &[f64]| -> Vec<Option<f64>> {
            let finite = |v: &f64| Some(*v).filter(|v| v.is_finite());
            values.iter().map(finite).collect()
        };
        let mut object = serializer.serialize_struct("Scores", 5)?;
        let values = self.scores.iter().map(|s| (s.name.as_str(), s.value));
        object.serialize_field("scores", &Object(values.collect()))?;
        let intervals: Vec<_> = self
            .scores
            .iter()
            .filter_map(|s| Some((s.name.as_str(), [s.interval?.low, s.interval?.high])))
            .collect();
        if !intervals.is_empty() {
            object.serialize_field("intervals", &Object(intervals))?;
        }
        let named = self.scores.iter().filter_map(|s| {
            let segments = s.segments.as_ref()?;
            Some((s.name.as_str(), finite(segments)))
        });
        let extra = self.extra_segments.iter();
        let segments: Vec<_> = named
            .chain(extra.map(|(name, values)| (name.as_str(), finite(values))))
            .collect();
        if !segments.is_empty() {
            object.serialize_field("segments", &Object(segments))?;
        }
        if let Some(signature) = &self.signature {
            object.serialize_field("signature", signature)?;
        }
        if !self.notes.is_empty() {
            object.serialize_field("notes", &self.notes)?;
        }
        object.end()
    }
}
