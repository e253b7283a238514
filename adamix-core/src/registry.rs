//! Policies and rules by name: those of this crate, and those that another crate adds.

use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

use crate::options::{OptionError, Options};

/// Makes a policy or a rule from its settings.
pub type Make<T> = fn(&Options) -> Result<Arc<T>, OptionError>;

/// What a config can name.
pub struct Registry<T: ?Sized + 'static> {
    /// What the entries are, for messages: `routing policy`.
    kind: &'static str,
    builtin: &'static [(&'static str, Make<T>)],
    added: Mutex<Vec<(&'static str, Make<T>)>>,
}

/// A name or a setting that a registry does not take.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RegistryError {
    /// Nothing has that name.
    #[error("there is no {kind} `{name}`; known: {known}")]
    Unknown {
        /// What was looked for.
        kind: &'static str,
        /// The name.
        name: String,
        /// All names.
        known: String,
    },
    /// The entry refuses its options.
    #[error("{kind} `{name}`: {source}")]
    Options {
        /// What was looked for.
        kind: &'static str,
        /// The name.
        name: String,
        /// The option.
        source: OptionError,
    },
}

impl<T: ?Sized> Registry<T> {
    /// A registry of what this crate has.
    pub const fn new(kind: &'static str, builtin: &'static [(&'static str, Make<T>)]) -> Self {
        Self {
            kind,
            builtin,
            added: Mutex::new(Vec::new()),
        }
    }

    /// Adds an entry, for the whole process. A name of the crate's own cannot be taken; an entry added
    /// before under the same name is replaced.
    ///
    /// # Panics
    /// If the crate itself has an entry of that name.
    pub fn register(&self, name: &'static str, make: Make<T>) {
        let taken = self.builtin.iter().any(|(own, _)| *own == name);
        assert!(!taken, "there already is a {} `{name}`", self.kind);
        let mut added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        added.retain(|(other, _)| *other != name);
        added.push((name, make));
    }

    /// All entries, the crate's own first.
    fn entries(&self) -> Vec<(&'static str, Make<T>)> {
        let added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        self.builtin.iter().chain(added.iter()).copied().collect()
    }

    /// The names that configs can use.
    pub fn names(&self) -> Vec<&'static str> {
        self.entries().into_iter().map(|(name, _)| name).collect()
    }

    /// The entry of that name with these settings.
    ///
    /// # Errors
    /// If there is none, or it refuses a setting.
    pub fn make(&self, name: &str, options: &Options) -> Result<Arc<T>, RegistryError> {
        let entries = self.entries();
        let Some((_, make)) = entries.iter().find(|(known, _)| *known == name) else {
            return Err(RegistryError::Unknown {
                kind: self.kind,
                name: name.to_owned(),
                known: self.names().join(", "),
            });
        };
        make(options).map_err(|source| RegistryError::Options {
            kind: self.kind,
            name: name.to_owned(),
            source,
        })
    }
}
