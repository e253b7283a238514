//! METEOR 1.5.

/// Why.
#[derive(Debug, thiserror::Error)]
pub enum MeteorError {}
