//! How a trained mixture is run: which paths through it answer, and what makes one answer of theirs.

use std::sync::Arc;

use adamix_keys::Key;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::policies::TiedPerExample;
use super::{
    Fixed, Moment, RoutedPass, RoutingPolicy, Site, Stochastic, StochasticPerExample,
    StochasticTied,
};
use crate::ensemble::{mean_log_probabilities, mean_logits};

/// How a trained mixture is meant to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inference {
    /// The experts are merged into one module (AdaMix).
    Merged,
    /// As the policy decides, without what belongs to training only.
    Routed,
    /// Every example takes an expert at random, drawn for each side and layer.
    Random,
    /// Always the first expert.
    Fixed,
    /// The mean of the logits of the M diagonal paths (expert i in every layer).
    Ensemble,
    /// The mean of the logits of several random paths, each an expert for each side and layer.
    RandomEnsemble,
    /// The mean of the probabilities of several random paths (paper §3.5).
    MonteCarlo,
}

/// A path through a model's mixtures in evaluation: who decides, and which draw it is.
#[derive(Clone, Debug)]
pub struct RoutedPath {
    policy: Arc<dyn RoutingPolicy>,
    moment: Moment,
}

impl RoutedPath {
    /// The `draw`-th path of a policy whose draws come from `root`.
    pub fn new(policy: Arc<dyn RoutingPolicy>, root: Key, draw: u64) -> Self {
        Self {
            policy,
            moment: Moment::draw(root, draw),
        }
    }

    /// One expert everywhere; a merged or plain model has no other.
    pub fn through(expert: usize) -> Self {
        Self::new(Arc::new(Fixed { expert }), Key::new(0), 0)
    }

    /// A pass along it over a batch with these example ids.
    pub fn pass<'a>(&'a self, examples: &'a [u32]) -> RoutedPass<'a> {
        RoutedPass::new(self.policy.as_ref(), self.moment, examples, false)
    }
}

impl Inference {
    /// The paths that answer, one at least, for a model with these sites. `policy` is the one that it was trained
    /// with, `draws` how many paths an ensemble of random ones has, `root` where these come from.
    pub fn paths(
        self,
        policy: &Arc<dyn RoutingPolicy>,
        sites: &[Site],
        draws: usize,
        root: Key,
    ) -> Vec<RoutedPath> {
        // A shared side meets every expert of the other: there is nothing to keep together.
        let has_pairs = |site: &Site| site.down > 1 && site.up > 1;
        let is_tied = policy.is_tied() && sites.iter().any(has_pairs);
        match self {
            Self::Merged | Self::Fixed => vec![RoutedPath::through(0)],
            Self::Routed => vec![RoutedPath::new(policy.clone(), root, 0)],
            Self::Random => {
                let draws: Arc<dyn RoutingPolicy> = match is_tied {
                    true => Arc::new(TiedPerExample),
                    false => Arc::new(StochasticPerExample {}),
                };
                vec![RoutedPath::new(draws, root, 0)]
            }
            Self::Ensemble => {
                let experts = sites.iter().map(|s| s.down.max(s.up)).max();
                (0..experts.unwrap_or(1)).map(RoutedPath::through).collect()
            }
            Self::RandomEnsemble | Self::MonteCarlo => {
                let random: Arc<dyn RoutingPolicy> = match is_tied {
                    true => Arc::new(StochasticTied {}),
                    false => Arc::new(Stochastic {}),
                };
                let path = |draw| RoutedPath::new(random.clone(), root, draw);
                (0..draws.max(1) as u64).map(path).collect()
            }
        }
    }

    /// One answer of all paths' logits, or of their outputs where there is one.
    ///
    /// # Shapes
    /// - each path and output: `[batch, classes]`
    ///
    /// # Panics
    /// If there is no path.
    pub fn combined(self, paths: Vec<Tensor<2>>) -> Tensor<2> {
        let is_distribution = paths.first().is_some_and(|path| path.dims()[1] > 1);
        match self {
            Self::MonteCarlo if is_distribution => mean_log_probabilities(paths),
            _ => mean_logits(paths),
        }
    }
}
