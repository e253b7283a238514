//! How a run is carried out.

use indicatif::ProgressBar;

use crate::interrupt::Interrupt;

/// How a run is carried out: nothing of it changes the outcome.
#[derive(Clone, Debug)]
pub struct Sitting {
    /// The device's name.
    pub device: String,
    /// Whether to write every step's rows and routes.
    pub trace: bool,
    /// Shows how far it is.
    pub progress: ProgressBar,
    /// Asks it to stop.
    pub interrupt: Interrupt,
}

impl Sitting {
    /// On a device, silent, without a trace, to the end.
    pub fn quiet(device: &str) -> Self {
        Self {
            device: device.to_owned(),
            trace: false,
            progress: ProgressBar::hidden(),
            interrupt: Interrupt::never(),
        }
    }
}
