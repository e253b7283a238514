//! Prefix-tuning: trained keys and values before those of the tokens (Li & Liang 2021).
//!
//! The tables are trained as they are, without the network that the authors make them from in training.

use adamix_keys::Key;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{Context, gate};
use crate::bank::Bank;
use crate::linear::Linear;
use crate::merging::{MergeError, MergeRule, Place};
use crate::random::Initializer;
use crate::routing::Router;

/// The shape of a prefix.
#[derive(Config, Debug, PartialEq)]
pub struct PrefixConfig {
    /// How many keys and values stand before those of the tokens.
    pub length: usize,
    /// M, the number of prefixes.
    #[config(default = 1)]
    pub experts: usize,
    /// Standard deviation of fresh values.
    #[config(default = 0.02)]
    pub initializer_range: f64,
    /// Whether the tokens' positions count the prefix, as with the past of a decoder (and in `peft`).
    #[config(default = false)]
    pub shift_positions: bool,
    /// Whether keys and values are scaled by UniPELT's gate.
    #[config(default = false)]
    pub gate: bool,
}

impl PrefixConfig {
    /// A fresh trainable prefix for an attention of that width.
    pub fn init(&self, hidden: usize, key: Key, device: &Device) -> Prefix {
        let initializer = Initializer::Normal(self.initializer_range);
        let bank = |name: &str| {
            let key = key.purpose(name);
            Bank::tables(
                self.experts,
                [self.length, hidden],
                initializer,
                key,
                device,
            )
        };
        let gate = || Linear::init(hidden, 1, initializer, key.purpose("gate"), device);
        Prefix {
            key: bank("key"),
            value: bank("value"),
            gate: self.gate.then(gate),
            router: None,
            config: self.clone(),
        }
    }
}

/// A mixture of prefixes, routed by its down side: one draw serves keys and values.
#[derive(Module, Debug)]
pub struct Prefix {
    /// Tables, as maps of `[length, hidden]`.
    pub key: Bank,
    /// Tables, as maps of `[length, hidden]`.
    pub value: Bank,
    /// UniPELT's gate: `[hidden, 1]`.
    pub gate: Option<Linear>,
    /// What its routing policy learns.
    pub router: Option<Router>,
    #[module(skip)]
    config: PrefixConfig,
}

impl Prefix {
    /// The shape that this one has.
    pub fn config(&self) -> PrefixConfig {
        PrefixConfig {
            experts: self.key.len(),
            ..self.config.clone()
        }
    }

    /// How many positions it takes from the tokens.
    pub fn position_shift(&self) -> usize {
        if self.config.shift_positions {
            self.config.length
        } else {
            0
        }
    }

    /// Keys and values of every example; `x` is what the attention reads.
    ///
    /// # Shapes
    /// - `x`: `[batch, tokens, hidden]`
    /// - outputs: `[batch, length, hidden]`
    pub fn forward(&self, x: Tensor<3>, context: &Context<'_>) -> [Tensor<3>; 2] {
        let [batch, _, hidden] = x.dims();
        let shape = [batch, self.config.length, hidden];
        let decision = context.decide(&self.key, None, &self.router, Some(&x));
        let tables = [&self.key, &self.value].map(|bank| bank.table(&decision).expand(shape));
        match &self.gate {
            None => tables,
            Some(map) => {
                let open = gate(map, x, context.mask.as_ref());
                tables.map(|table| table * open.clone())
            }
        }
    }

    /// The single prefix that `rule` makes of both banks.
    ///
    /// # Errors
    /// If the rule cannot merge it.
    pub fn merged(&self, rule: &dyn MergeRule, module: &str) -> Result<Self, MergeError> {
        Ok(Self {
            key: self.key.merged(rule, &Place::bank(module, "key"))?,
            value: self.value.merged(rule, &Place::bank(module, "value"))?,
            router: None,
            ..self.clone()
        })
    }
}
