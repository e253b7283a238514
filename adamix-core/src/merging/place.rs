//! Which parameter of which module a rule is asked about.

use core::fmt;

/// A parameter that every expert of a bank has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The mixture's path, such as `bert.encoder.layer.0.output.adamix`.
    pub module: &'a str,
    /// The bank's name in it: `down` and `up`, or that of a bank which stands alone.
    pub bank: &'a str,
    /// `weight` or `bias`; empty for the bank as a whole.
    pub parameter: &'a str,
}

impl<'a> Place<'a> {
    /// A bank as a whole.
    pub fn bank(module: &'a str, bank: &'a str) -> Self {
        Self {
            module,
            bank,
            parameter: "",
        }
    }

    /// A parameter of this bank.
    pub fn of(self, parameter: &'a str) -> Self {
        Self { parameter, ..self }
    }

    /// The parameter's name in one expert: `<module>.down.2.weight`.
    pub fn in_expert(&self, expert: usize) -> String {
        format!("{self}.{expert}.{}", self.parameter)
    }
}

/// `<module>.down`, the bank.
impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.module, self.bank)
    }
}
