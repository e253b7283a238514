//! How a trained model is run when it is measured.

use std::sync::Arc;

use adamix_core::merging::MergeRule;
use adamix_core::routing::{Inference, RoutedPath, RoutingPolicy};
use adamix_keys::Key;
use adamix_models::site::Adaptable;
use anyhow::Result;

use crate::config::{InferenceChoice, RunConfig};

/// How a trained model is run.
#[derive(Clone, Debug)]
pub struct Mode<'a> {
    /// Which experts answer.
    pub inference: Inference,
    /// What merges them.
    pub rule: &'a dyn MergeRule,
    /// Who decides where inference is routed.
    pub policy: Arc<dyn RoutingPolicy>,
    /// How many random paths an ensemble of such has.
    pub paths: usize,
    /// Where random inference draws from.
    pub key: Key,
    /// Examples a batch.
    pub batch_size: usize,
}

impl<'a> Mode<'a> {
    /// As a config says; draws come from `key`.
    ///
    /// # Errors
    /// If the config names a policy that does not exist.
    pub fn of(config: &RunConfig, rule: &'a dyn MergeRule, key: Key) -> Result<Self> {
        let policy = config.routing.policy()?;
        let evaluation = &config.evaluation;
        Ok(Self {
            inference: evaluation.inference.resolve(policy.native_inference()),
            rule,
            policy,
            paths: evaluation.paths,
            key,
            batch_size: evaluation.batch_size,
        })
    }

    /// Where a run draws from when it is measured after an epoch.
    pub fn key_after(config: &RunConfig, epoch: usize) -> Key {
        let key = Key::new(config.seed).purpose("inference");
        key.fold(epoch as u64)
    }

    /// The same in another mode, if one is asked for, and with another number of paths.
    pub fn asked(self, inference: InferenceChoice, paths: Option<usize>) -> Self {
        Self {
            inference: match inference {
                InferenceChoice::Native => self.inference,
                asked => asked.resolve(self.policy.native_inference()),
            },
            paths: paths.unwrap_or(self.paths),
            ..self
        }
    }

    /// The model that answers, outside autodiff: merged once, or as it was trained.
    ///
    /// # Errors
    /// If the rule cannot merge the model.
    pub fn ready<M: Adaptable>(&self, model: &M) -> Result<M> {
        Ok(match self.inference {
            Inference::Merged => model.merged(self.rule)?,
            _ => model.valid(),
        })
    }

    /// The paths through a model that answer.
    pub fn paths(&self, model: &impl Adaptable) -> Vec<RoutedPath> {
        let sites = model.sites();
        (self.inference).paths(&self.policy, &sites, self.paths, self.key)
    }
}
