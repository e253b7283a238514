//! AdamW with the semantics of Hugging Face's optimiser, its state by parameter name.
//!
//! Burn's own AdamW differs in what matters here: it skips parameters without a gradient, decays all of
//! them alike, and clips each tensor on its own.

use std::collections::BTreeMap;

use burn::module::Param;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::parameter::{self, Named, ParameterInfo, Replace};

/// What happens to a trainable parameter that got no gradient in a step (an expert not drawn).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unselected {
    /// Its gradient counts as zero once it has had one: momentum, second-moment decay and weight decay
    /// go on (the released code on its version of PyTorch). Before its first gradient it is skipped.
    ZeroGrad,
    /// It stays as it is (PyTorch 2).
    Skip,
}

/// Where epsilon stands in the denominator of the update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EpsilonPlacement {
    /// `√v + ε`, outside the bias correction, which scales the whole step (Hugging Face's optimiser, both released
    /// codes): in the first steps ε counts `1 / √(1 - β₂ᵗ)` times as much.
    Uncorrected,
    /// `√(v / (1 - β₂ᵗ)) + ε` (Loshchilov & Hutter 2019; PyTorch's own AdamW).
    Corrected,
}

/// The constants of [`AdamW`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdamWConfig {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the square root of the second moment.
    pub epsilon: f64,
    /// Before or after that is corrected for its start at zero.
    pub epsilon_placement: EpsilonPlacement,
    /// Decoupled weight decay, applied after the update with the current rate.
    pub weight_decay: f64,
    /// Whether biases and LayerNorms decay too (the released NLG code; not the NLU code).
    pub decay_all: bool,
    /// What happens to experts that were not drawn.
    pub unselected: Unselected,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            epsilon_placement: EpsilonPlacement::Uncorrected,
            weight_decay: 0.1,
            decay_all: false,
            unselected: Unselected::ZeroGrad,
        }
    }
}

/// The gradients of one step: flat, by name.
pub type NamedGradients = BTreeMap<String, Tensor<1>>;

/// Adds one micro-batch's gradients, weighted, to what was gathered so far.
pub fn accumulate(sum: &mut NamedGradients, gradients: NamedGradients, weight: f64) {
    for (name, gradient) in gradients {
        let gradient = if weight == 1.0 {
            gradient
        } else {
            gradient * weight
        };
        let total = match sum.remove(&name) {
            Some(before) => before + gradient,
            None => gradient,
        };
        sum.insert(name, total);
    }
}

/// The Euclidean norm of all gradients together.
pub fn global_norm(gradients: &NamedGradients) -> f64 {
    if gradients.is_empty() {
        return 0.0;
    }
    let squares = gradients.values().flat_map(squares).collect();
    let squares: Vec<f32> = Tensor::cat(squares, 0)
        .into_data()
        .convert::<f32>()
        .try_into_vec()
        .expect("f32 values");
    squares.into_iter().map(f64::from).sum::<f64>().sqrt()
}

/// The sums of squares of a flat gradient's parts. They are of a fixed length, as a backend may add what is longer in
/// the order in which its threads end.
fn squares(gradient: &Tensor<1>) -> Vec<Tensor<1>> {
    const LENGTH: usize = 1 << 21;
    let count = gradient.dims()[0];
    let starts = (0..count).step_by(LENGTH);
    let part = |start| gradient.clone().narrow(0, start, LENGTH.min(count - start));
    starts.map(|start| part(start).square().sum()).collect()
}

/// Scales all gradients so that their joint norm is at most `limit`, as `clip_grad_norm_` does.
pub fn clip_global_norm(gradients: &mut NamedGradients, norm: f64, limit: f64) {
    let scale = limit / (norm + 1e-6);
    if scale < 1.0 {
        for gradient in gradients.values_mut() {
            *gradient = gradient.clone() * scale;
        }
    }
}

/// The moments of one parameter.
#[derive(Clone, Debug)]
pub struct Moments {
    /// How many steps this parameter took since its first gradient.
    pub step: u32,
    /// Running mean of the gradient, flat.
    pub first: Tensor<1>,
    /// Running mean of the squared gradient, flat.
    pub second: Tensor<1>,
}

/// The optimiser: constants and the moments of every parameter that ever had a gradient.
#[derive(Clone, Debug)]
pub struct AdamW {
    config: AdamWConfig,
    moments: BTreeMap<String, Moments>,
}

impl AdamW {
    /// An optimiser without state.
    pub fn new(config: AdamWConfig) -> Self {
        Self {
            config,
            moments: BTreeMap::new(),
        }
    }

    /// The moments by parameter name.
    pub fn moments(&self) -> &BTreeMap<String, Moments> {
        &self.moments
    }

    /// Restores the moments of a checkpoint.
    pub fn set_moments(&mut self, moments: BTreeMap<String, Moments>) {
        self.moments = moments;
    }

    /// Moves every trainable parameter one step along its gradient.
    pub fn step<M: Named>(
        &mut self,
        module: M,
        gradients: NamedGradients,
        learning_rate: f64,
    ) -> M {
        let update = Update {
            config: self.config,
            moments: core::mem::take(&mut self.moments),
            gradients,
            learning_rate,
        };
        let (module, update) = parameter::replace(module, update);
        self.moments = update.moments;
        module
    }
}

struct Update {
    config: AdamWConfig,
    moments: BTreeMap<String, Moments>,
    gradients: NamedGradients,
    learning_rate: f64,
}

impl Update {
    /// The gradient that counts for a parameter, or `None` if it stays.
    fn gradient(&mut self, name: &str) -> Option<Tensor<1>> {
        if let Some(gradient) = self.gradients.remove(name) {
            return Some(gradient);
        }
        let moments = self.moments.get(name)?;
        match self.config.unselected {
            Unselected::ZeroGrad => Some(moments.first.zeros_like()),
            Unselected::Skip => None,
        }
    }

    fn new_value(
        &mut self,
        info: &ParameterInfo,
        value: Tensor<1>,
        gradient: Tensor<1>,
    ) -> Tensor<1> {
        let AdamWConfig {
            beta1,
            beta2,
            epsilon,
            epsilon_placement,
            ..
        } = self.config;
        let moments = match self.moments.remove(&info.name) {
            Some(old) => Moments {
                step: old.step + 1,
                first: old.first * beta1 + gradient.clone() * (1.0 - beta1),
                second: old.second * beta2 + gradient.square() * (1.0 - beta2),
            },
            None => Moments {
                step: 1,
                first: gradient.clone() * (1.0 - beta1),
                second: gradient.square() * (1.0 - beta2),
            },
        };
        let correction = (1.0 - beta2.powi(moments.step as i32)).sqrt();
        let corrections = correction / (1.0 - beta1.powi(moments.step as i32));
        let epsilon = match epsilon_placement {
            EpsilonPlacement::Uncorrected => epsilon,
            // The denominator as a whole is divided by the correction.
            EpsilonPlacement::Corrected => epsilon * correction,
        };
        let direction = moments.first.clone() / (moments.second.clone().sqrt() + epsilon);
        let value = value - direction * (self.learning_rate * corrections);
        self.moments.insert(info.name.clone(), moments);
        let decay = if self.decays(info) {
            self.config.weight_decay
        } else {
            0.0
        };
        if decay == 0.0 {
            return value;
        }
        value.clone() - value * (self.learning_rate * decay)
    }

    fn decays(&self, info: &ParameterInfo) -> bool {
        self.config.decay_all || !(info.name.ends_with("bias") || info.owner == "LayerNorm")
    }
}

impl Replace for Update {
    fn replace<const D: usize>(
        &mut self,
        info: ParameterInfo,
        param: Param<Tensor<D>>,
    ) -> Param<Tensor<D>> {
        if !info.trainable {
            return param;
        }
        let Some(gradient) = self.gradient(&info.name) else {
            return param;
        };
        param.map(|old| {
            let shape = old.dims();
            let autodiff = old.is_autodiff();
            let value = old.without_autodiff().flatten(0, D - 1);
            let value = self.new_value(&info, value, gradient).reshape(shape);
            let value = if autodiff { value.autodiff() } else { value };
            value.require_grad()
        })
    }
}

#[cfg(test)]
mod tests {
    use adamix_keys::Key;
    use burn::module::Module;
    use burn::tensor::Device;

    use super::*;
    use crate::consistency::symmetric_kl;
    use crate::layer_norm::LayerNorm;
    use crate::linear::Linear;
    use crate::parameter::export;

    #[derive(Module, Debug)]
    struct Model {
        first: Linear,
        second: Linear,
        norm: LayerNorm,
    }
    impl Named for Model {}

    fn model(weights: [f32; 2]) -> Model {
        let device = Device::flex().autodiff();
        let linear = |w| Linear::from_values([1, 1], vec![w], Some(vec![w]), &device);
        Model {
            first: linear(weights[0]),
            second: linear(weights[1]),
            norm: LayerNorm::init(1, 1e-5, &device),
        }
    }

    fn gradient(name: &str, value: f32) -> NamedGradients {
        let tensor = Tensor::<1>::from_data([value], &Device::flex());
        BTreeMap::from([(name.to_owned(), tensor)])
    }

    fn value(model: &Model, name: &str) -> f64 {
        f64::from(export(model, |_| true)[name].values[0])
    }

    fn scalars(gradients: &NamedGradients) -> Vec<f32> {
        let scalar = |gradient: &Tensor<1>| gradient.clone().into_scalar::<f32>();
        gradients.values().map(scalar).collect()
    }

    #[test]
    fn micro_batches_add_up_by_weight() {
        let mut sum = NamedGradients::new();
        accumulate(&mut sum, gradient("a", 1.0), 0.5);
        let mut second = gradient("a", 4.0);
        second.extend(gradient("b", 6.0));
        accumulate(&mut sum, second, 0.5);
        assert_eq!(scalars(&sum), [2.5, 3.0]);
    }

    /// Two steps by hand, gradient 0.5 then 0.5 (or none): rate 0.1, decay 0.1, epsilon 1e-8.
    #[test]
    fn two_steps_equal_the_formula() {
        let mut optimizer = AdamW::new(AdamWConfig::default());
        let model = optimizer.step(model([1.0, 1.0]), gradient("first.weight", 0.5), 0.1);
        // First step: the bias-corrected direction is 1, so 1 - 0.1 = 0.9, then decay 0.9 (1 - 0.01).
        assert!((value(&model, "first.weight") - 0.891).abs() < 1e-6);
        assert_eq!(
            value(&model, "second.weight"),
            1.0,
            "no gradient yet: skipped, decay included"
        );
        let model = optimizer.step(model, BTreeMap::new(), 0.1);
        // Zero gradient: m = 0.045, v = 0.24975e-3 * 0.999..., t = 2.
        let (m, v) = (0.05f64 * 0.9, 0.25e-3f64 * 0.999);
        let step = 0.1 * (1.0 - 0.999f64.powi(2)).sqrt() / (1.0 - 0.81) * m / (v.sqrt() + 1e-8);
        let expected = (0.891 - step) * 0.99;
        assert!((value(&model, "first.weight") - expected).abs() < 1e-6);
    }

    /// Gradients 0.5 and -0.25, rate 0.1, epsilon 0.1, no decay: by hand, and what PyTorch 2.15's AdamW makes of 1
    /// (0.916666687, then 0.895411074).
    #[test]
    fn epsilon_may_stand_behind_the_correction() {
        let config = AdamWConfig {
            epsilon: 0.1,
            epsilon_placement: EpsilonPlacement::Corrected,
            weight_decay: 0.0,
            ..AdamWConfig::default()
        };
        let mut optimizer = AdamW::new(config);
        let model = optimizer.step(model([1.0, 1.0]), gradient("first.weight", 0.5), 0.1);
        assert!((value(&model, "first.weight") - (1.0 - 0.1 * 0.5 / 0.6)).abs() < 1e-6);
        let model = optimizer.step(model, gradient("first.weight", -0.25), 0.1);
        let (m, v) = (0.05 * 0.9 - 0.025, 0.25e-3 * 0.999 + 0.0625e-3);
        let (m, v) = (m / (1.0 - 0.81), v / (1.0 - 0.999f64.powi(2)));
        let expected = 1.0 - 0.1 * 0.5 / 0.6 - 0.1 * m / (v.sqrt() + 0.1);
        assert!((value(&model, "first.weight") - expected).abs() < 1e-6);
        assert!((expected - 0.895_411_074).abs() < 1e-7);
    }

    #[test]
    fn skip_leaves_an_unselected_parameter() {
        let config = AdamWConfig {
            unselected: Unselected::Skip,
            ..AdamWConfig::default()
        };
        let mut optimizer = AdamW::new(config);
        let model = optimizer.step(model([1.0, 1.0]), gradient("first.weight", 0.5), 0.1);
        let before = value(&model, "first.weight");
        let model = optimizer.step(model, BTreeMap::new(), 0.1);
        assert_eq!(value(&model, "first.weight"), before);
    }

    /// From 1 as in the first of two steps: 0.9, and 0.9 (1 - 0.01) with decay.
    #[test]
    fn biases_and_norms_decay_only_where_all_do() {
        for name in ["first.bias", "norm.weight"] {
            for (decay_all, expected) in [(false, 0.9), (true, 0.891)] {
                let config = AdamWConfig {
                    decay_all,
                    ..AdamWConfig::default()
                };
                let mut optimizer = AdamW::new(config);
                let model = optimizer.step(model([1.0, 1.0]), gradient(name, 0.5), 0.1);
                let found = value(&model, name);
                assert!(
                    (found - expected).abs() < 1e-6,
                    "{name} {decay_all}: {found}"
                );
            }
        }
    }

    #[test]
    fn clipping_uses_the_norm_of_all_tensors() {
        let mut gradients = gradient("a", 3.0);
        gradients.extend(gradient("b", 4.0));
        let norm = global_norm(&gradients);
        assert!((norm - 5.0).abs() < 1e-6);
        clip_global_norm(&mut gradients, norm, 1.0);
        let values = scalars(&gradients);
        assert!(
            (values[0] - 0.6).abs() < 1e-6 && (values[1] - 0.8).abs() < 1e-6,
            "{values:?}"
        );
        let mut short = gradient("a", 3.0);
        clip_global_norm(&mut short, 3.0, 10.0);
        assert_eq!(scalars(&short), [3.0]);
    }

    #[test]
    fn frozen_parameters_hold_no_state() {
        let model =
            parameter::set_trainable(model([1.0, 1.0]), |info| info.name.starts_with("first"));
        let mut optimizer = AdamW::new(AdamWConfig::default());
        let mut gradients = gradient("first.weight", 0.5);
        gradients.extend(gradient("second.weight", 0.5));
        let model = optimizer.step(model, gradients, 0.1);
        assert_eq!(optimizer.moments().len(), 1);
        assert_eq!(value(&model, "second.weight"), 1.0);
    }

    #[test]
    fn long_sums_do_not_depend_on_the_number_of_threads() {
        let device = Device::flex();
        let count = (1 << 22) + 12_345;
        let values: Vec<f32> = (0..count as u64)
            .map(|i| Key::new(1).fold(i).uniform())
            // Heavy tails of both signs, so that the order of a sum shows.
            .map(|u| ((u - 0.5) / (u + 1e-3)) as f32)
            .collect();
        let exact = values
            .iter()
            .map(|v| f64::from(*v).powi(2))
            .sum::<f64>()
            .sqrt();
        let long = Tensor::<1>::from_data(values.as_slice(), &device);
        let gradients = NamedGradients::from([("a".to_owned(), long.clone())]);
        let [rows, columns] = [84, 50_000];
        let logits = long
            .narrow(0, 0, rows * columns)
            .reshape([rows, columns])
            .tanh();
        let figures = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let kl = symmetric_kl(logits.clone() * 9.0, logits.clone(), true);
                (global_norm(&gradients), kl.into_scalar::<f32>())
            })
        };
        let one = figures(1);
        assert!((one.0 / exact - 1.0).abs() < 1e-3, "{} {exact}", one.0);
        for threads in [2, 3, 5] {
            assert_eq!(figures(threads), one, "{threads} threads");
        }
    }
}
