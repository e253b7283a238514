//! Which state of a run's model a verb takes.

use clap::ValueEnum;

/// Which state of a run's model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// The best epoch.
    Best,
    /// The last epoch.
    Last,
    /// Before training.
    Initial,
}

impl State {
    /// Its name in folders and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::Last => "last",
            Self::Initial => "initial",
        }
    }

    /// The folder of its adapter in a run.
    pub fn adapter(self) -> &'static str {
        match self {
            Self::Best => "adapter/best",
            Self::Last => "adapter/last",
            Self::Initial => "adapter/initial",
        }
    }

    /// The folder of what is merged of it; a model before training has none.
    pub fn merged(self) -> Option<&'static str> {
        match self {
            Self::Best => Some("merged/best"),
            Self::Last => Some("merged/last"),
            Self::Initial => None,
        }
    }
}
