//! Which parameter of which module a rule is asked about.

use core::fmt;

use serde::{Deserialize, Serialize};

/// One of the two banks of a mixture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// To the bottleneck or the rank.
    Down,
    /// Back.
    Up,
}

impl Side {
    /// Its segment of a parameter's path.
    pub fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Up => "up",
        }
    }
}

/// A parameter that every expert of a side has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The mixture's path, such as `bert.encoder.layer.0.output.adamix`.
    pub module: &'a str,
    /// The bank.
    pub side: Side,
    /// `weight` or `bias`; empty for the side as a whole.
    pub parameter: &'a str,
}

impl<'a> Place<'a> {
    /// A side as a whole.
    pub fn side(module: &'a str, side: Side) -> Self {
        Self {
            module,
            side,
            parameter: "",
        }
    }

    /// A parameter of this side.
    pub fn of(self, parameter: &'a str) -> Self {
        Self { parameter, ..self }
    }

    /// The parameter's name in one expert: `<module>.down.2.weight`.
    pub fn in_expert(&self, expert: usize) -> String {
        format!(
            "{}.{}.{expert}.{}",
            self.module,
            self.side.name(),
            self.parameter
        )
    }
}

/// `<module>.down`, the side.
impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.module, self.side.name())
    }
}
