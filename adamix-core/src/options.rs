//! Settings of a policy or a rule that is known by name: what the `options` table of a config holds.
//!
//! A policy declares its settings as a plain struct with `#[derive(Deserialize)]` and
//! `#[serde(default, deny_unknown_fields)]`; [`Options::parse`] fills it.

use std::collections::BTreeMap;

use serde::de::value::{Error as ValueError, MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::{Deserialize, Serialize, forward_to_deserialize_any};
use thiserror::Error;

/// One setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// Any number.
    Number(f64),
    /// A name.
    Text(String),
    /// Several numbers, such as one weight an expert.
    Numbers(Vec<f64>),
}

/// Settings by key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Options(BTreeMap<String, Value>);

/// A setting that its owner does not take.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("option `{key}`: {message}")]
pub struct OptionError {
    /// The setting.
    pub key: String,
    /// What is wrong with it.
    pub message: String,
}

impl OptionError {
    /// A value that has the right type but not the right size.
    pub fn new(key: &str, message: impl Into<String>) -> Self {
        Self {
            key: key.to_owned(),
            message: message.into(),
        }
    }
}

impl Options {
    /// No setting: everything has its default.
    pub const NONE: Self = Self(BTreeMap::new());

    /// The settings as `T`; what is left out has `T`'s default.
    ///
    /// # Errors
    /// If `T` has no setting of a key, or a value has the wrong type. The key is named.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, OptionError> {
        fn all<'a, T: DeserializeOwned>(
            entries: impl Iterator<Item = (&'a String, &'a Value)>,
        ) -> Result<T, ValueError> {
            let entries = entries.map(|(key, value)| (key.as_str(), value));
            T::deserialize(MapDeserializer::new(entries))
        }
        all(self.0.iter()).map_err(|error| {
            // Each setting alone, to name the one at fault.
            let alone = |entry| all::<T>(std::iter::once(entry)).err();
            let found = self.0.iter().find_map(|e| Some((e.0, alone(e)?)));
            let (key, error) = found.map_or(("", error), |(key, e)| (key.as_str(), e));
            OptionError::new(key, error.to_string())
        })
    }

    /// The same settings with one more.
    pub fn with(mut self, key: &str, value: Value) -> Self {
        self.0.insert(key.to_owned(), value);
        self
    }
}

/// Refuses a number outside `0 ..= 1`.
///
/// # Errors
/// Names the key and the value.
pub fn fraction(key: &str, value: f64) -> Result<(), OptionError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    let message = format!("{value} is not between 0 and 1");
    Err(OptionError::new(key, message))
}

/// Refuses a size that no machine has, which would fail in an allocation.
///
/// # Errors
/// Names the key and the value.
pub fn is_size(key: &str, value: usize) -> Result<(), OptionError> {
    const MOST: usize = 1 << 16;
    if value <= MOST {
        return Ok(());
    }
    Err(OptionError::new(
        key,
        format!("{value} is more than {MOST}"),
    ))
}

/// Refuses a number that is negative or not finite.
///
/// # Errors
/// Names the key and the value.
pub fn not_negative(key: &str, value: f64) -> Result<(), OptionError> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    let message = format!("{value} is not a number of at least 0");
    Err(OptionError::new(key, message))
}

impl<'de> IntoDeserializer<'de, ValueError> for &'de Value {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for &'de Value {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self {
            Value::Flag(flag) => visitor.visit_bool(*flag),
            Value::Integer(integer) => visitor.visit_i64(*integer),
            Value::Number(number) => visitor.visit_f64(*number),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::Numbers(numbers) => {
                visitor.visit_seq(SeqDeserializer::new(numbers.iter().copied()))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        match self {
            Value::Text(text) => IntoDeserializer::<ValueError>::into_deserializer(text.as_str())
                .deserialize_enum(name, variants, visitor),
            other => other.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Settings {
        count: usize,
        rate: f64,
        hard: bool,
        weights: Vec<f64>,
        unit: Unit,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Unit {
        #[default]
        Example,
        Token,
    }

    #[test]
    fn settings_fill_a_struct_and_leave_the_rest() {
        let options = Options::NONE
            .with("count", Value::Integer(3))
            .with("rate", Value::Integer(2))
            .with("unit", Value::Text("token".to_owned()))
            .with("weights", Value::Numbers(vec![0.5, 1.0]));
        let expected = Settings {
            count: 3,
            rate: 2.0,
            hard: false,
            weights: vec![0.5, 1.0],
            unit: Unit::Token,
        };
        assert_eq!(options.parse::<Settings>(), Ok(expected));
    }

    #[test]
    fn the_setting_at_fault_is_named() {
        let error = |key: &str, value| {
            let options = Options::NONE
                .with("hard", Value::Flag(true))
                .with(key, value);
            options.parse::<Settings>().unwrap_err().key
        };
        assert_eq!(error("cuont", Value::Integer(3)), "cuont");
        assert_eq!(error("count", Value::Number(1.5)), "count");
        assert_eq!(error("unit", Value::Text("word".to_owned())), "unit");
    }
}
