//! Trained hidden states that stand before those of the tokens.
//!
//! At the word embeddings they are prompt-tuning (Lester et al. 2021). In every layer, where the trained
//! states take the place of what the layer below made of the earlier ones, they are what Hu et al. 2022
//! call prefix-layer tuning (PreLayer).

use adamix_keys::Key;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::Context;
use crate::bank::Bank;
use crate::merging::{MergeError, MergeRule, Place};
use crate::random::Initializer;

/// The shape of virtual tokens.
#[derive(Config, Debug, PartialEq)]
pub struct VirtualTokensConfig {
    /// How many stand before the sequence.
    pub length: usize,
    /// M, the number of sets of them.
    #[config(default = 1)]
    pub experts: usize,
    /// Standard deviation of fresh values.
    #[config(default = 0.02)]
    pub initializer_range: f64,
}

impl VirtualTokensConfig {
    /// Fresh trainable tokens of a hidden size.
    pub fn init(&self, hidden: usize, key: Key, device: &Device) -> VirtualTokens {
        let initializer = Initializer::Normal(self.initializer_range);
        let key = key.purpose("tokens");
        VirtualTokens {
            tokens: Bank::tables(
                self.experts,
                [self.length, hidden],
                initializer,
                key,
                device,
            ),
            initializer_range: self.initializer_range,
        }
    }
}

/// A mixture of virtual tokens, routed by its down side.
#[derive(Module, Debug)]
pub struct VirtualTokens {
    /// Tables, as maps of `[length, hidden]`.
    pub tokens: Bank,
    initializer_range: f64,
}

impl VirtualTokens {
    /// The shape that these have.
    pub fn config(&self) -> VirtualTokensConfig {
        VirtualTokensConfig {
            length: self.length(),
            experts: self.tokens.len(),
            initializer_range: self.initializer_range,
        }
    }

    /// How many stand before the sequence.
    pub fn length(&self) -> usize {
        self.tokens.experts[0].shape()[0]
    }

    /// They take the first positions.
    pub fn position_shift(&self) -> usize {
        self.length()
    }

    /// The tokens of every example.
    ///
    /// # Shapes
    /// - output: `[batch, length, hidden]`
    pub fn forward(&self, batch: usize, context: &Context<'_>) -> Tensor<3> {
        let width = self.tokens.experts[0].shape()[1];
        let decision = context.decide(&self.tokens, None, &None, None);
        let tokens = self.tokens.table(&decision);
        tokens.expand([batch, self.length(), width])
    }

    /// The single set that `rule` makes of the bank.
    ///
    /// # Errors
    /// If the rule cannot merge it.
    pub fn merged(&self, rule: &dyn MergeRule, module: &str) -> Result<Self, MergeError> {
        Ok(Self {
            tokens: self.tokens.merged(rule, &Place::bank(module, "tokens"))?,
            ..self.clone()
        })
    }
}
