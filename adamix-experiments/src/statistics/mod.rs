//! What a table's numbers may claim: intervals over seeds and examples, paired tests, and the power to see a
//! difference.
//!
//! Runs differ for two reasons: the seed they were trained with, and the examples they are measured on. Seeds are
//! few, so [`summary`] gives their mean the interval of Student's t; [`bootstrap()`] resamples seeds and examples
//! together. Two methods are compared on the same seeds and the same examples ([`paired`]), a difference is tested
//! against both noises at once ([`noise`]), which says too what could have been seen at all, and a family of comparisons
//! is corrected by Holm's rule ([`holm()`]).

pub mod bootstrap;
pub mod holm;
pub mod noise;
pub mod paired;
pub mod power;
pub mod summary;

pub use bootstrap::{Bootstrap, bootstrap};
pub use holm::holm;
pub use noise::Noise;
pub use paired::{Comparison, paired_t, swap_examples};
pub use power::power_of_t;
pub use summary::{Interval, LEVEL, Summary};
