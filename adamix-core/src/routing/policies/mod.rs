//! The policies: one file each.

mod adamole;
mod dense;
mod expert_dropout;
mod fixed;
mod gumbel;
mod hash;
mod per_example;
mod per_token;
mod round_robin;
mod smear;
mod stochastic;
mod task;
mod tied;
mod top_k;
mod top_p;
mod without_replacement;

pub use adamole::AdaMole;
pub use dense::Dense;
pub use expert_dropout::ExpertDropout;
pub use fixed::Fixed;
pub use gumbel::Gumbel;
pub use hash::Hash;
pub use per_example::StochasticPerExample;
pub use per_token::StochasticPerToken;
pub use round_robin::RoundRobin;
pub use smear::Smear;
pub use stochastic::Stochastic;
pub use task::Task;
pub use tied::{StochasticTied, TiedPerExample};
pub use top_k::TopK;
pub use top_p::TopP;
pub use without_replacement::WithoutReplacement;

#[cfg(test)]
mod tests;
