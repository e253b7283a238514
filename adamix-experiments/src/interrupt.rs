//! Being asked to stop: the first signal lets the step end and the run be saved, the second stops at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use thiserror::Error;

/// Somebody asked a run to stop, which did so in good order.
#[derive(Debug, Error)]
#[error(
    "stopped by {signal} after step {step} of {steps}, which is saved; the same command goes on from there"
)]
pub struct Stopped {
    /// The signal's name.
    pub signal: &'static str,
    /// Steps done.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
}

/// What a part of a run that takes long, such as a measurement, fails with when a stop is asked for.
#[derive(Clone, Copy, Debug, Error)]
#[error("interrupted by {0}")]
pub struct Interrupted(pub &'static str);

/// Whether a stop was asked for.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    signal: Arc<AtomicUsize>,
}

impl Interrupt {
    /// One that nobody asks.
    pub fn never() -> Self {
        Self::default()
    }

    /// Listens to SIGINT and SIGTERM from now on. A second one ends the process with 128 + its number.
    pub fn on_signals() -> Result<Self> {
        let interrupt = Self::default();
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            let listen = || {
                // In this order: what the second finds set is what the first set.
                flag::register_conditional_shutdown(signal, 128 + signal, asked.clone())?;
                flag::register_usize(signal, interrupt.signal.clone(), signal as usize)?;
                flag::register(signal, asked.clone())
            };
            listen().context("signals cannot be listened to")?;
        }
        Ok(interrupt)
    }

    /// The signal that asked to stop.
    pub fn asked(&self) -> Option<&'static str> {
        match self.signal.load(Ordering::Relaxed) as i32 {
            SIGINT => Some("SIGINT"),
            SIGTERM => Some("SIGTERM"),
            _ => None,
        }
    }

    /// # Errors
    /// If a stop was asked for.
    pub fn check(&self) -> Result<(), Interrupted> {
        self.asked()
            .map_or(Ok(()), |signal| Err(Interrupted(signal)))
    }
}
