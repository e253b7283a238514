//! What is trained in a frozen model: one file an adaptation, alone (one expert) or as a mixture.

mod activation;
mod bottleneck;
mod low_rank;
mod share;

pub use activation::Activation;
pub use bottleneck::{Bottleneck, BottleneckConfig};
pub use low_rank::{LowRank, LowRankConfig};
pub use share::Share;
