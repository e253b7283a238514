//! M projections of one shape, or one that all passes share: the smallest part of a mixture.

use adamix_keys::Key;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::linear::Linear;
use crate::merging::{MergeError, MergeRule, Place};
use crate::random::Initializer;
use crate::routing::{Choice, Decision};

/// The interchangeable projections of one side (down or up) of a mixture.
#[derive(Module, Debug)]
pub struct Bank {
    /// One expert where the side is shared, else M, all of one shape.
    pub experts: Vec<Linear>,
}

impl Bank {
    /// `count` experts, each drawn on its own (the released code: N(0, 0.02), bias 0).
    pub fn init(
        count: usize,
        [input, output]: [usize; 2],
        initializer: Initializer,
        key: Key,
        device: &Device,
    ) -> Self {
        let expert = |i| Linear::init(input, output, initializer, key.fold(i as u64), device);
        Self {
            experts: (0..count).map(expert).collect(),
        }
    }

    /// `count` tables of vectors, kept as maps without bias; [`Bank::table`] reads them.
    pub fn tables(
        count: usize,
        [rows, width]: [usize; 2],
        initializer: Initializer,
        key: Key,
        device: &Device,
    ) -> Self {
        let expert = |i| {
            let values = initializer.sample(key.fold(i as u64), rows * width);
            Linear::from_values([rows, width], values, None, device)
        };
        Self {
            experts: (0..count).map(expert).collect(),
        }
    }

    /// How many experts a policy chooses from.
    pub fn len(&self) -> usize {
        self.experts.len()
    }

    /// Whether the bank has no expert; true for no bank that `init` made.
    pub fn is_empty(&self) -> bool {
        self.experts.is_empty()
    }

    /// Runs the chosen expert, or for each example or token its own.
    ///
    /// # Shapes
    /// - input: `[batch, tokens, in]`
    /// - output: `[batch, tokens, out]`
    ///
    /// # Panics
    /// If the choice names an expert that the bank does not have.
    pub fn forward(&self, x: Tensor<3>, choice: &Choice) -> Tensor<3> {
        match choice {
            Choice::One(expert) => self.experts[*expert].forward(x),
            _ if self.len() == 1 => self.experts[0].forward(x),
            Choice::PerExample(experts) => self.forward_per_example(x, experts),
            Choice::PerToken(_) => {
                let weights = choice.one_hot(self.len(), &x.device());
                self.mixed(x, weights)
            }
        }
    }

    /// One batched product with the weights gathered along the batch.
    fn forward_per_example(&self, x: Tensor<3>, experts: &[usize]) -> Tensor<3> {
        let indices = Choice::indices(experts, &x.device());
        let y = x.matmul(self.weights().select(0, indices.clone()));
        match self.biases() {
            Some(biases) => y + biases.select(0, indices).unsqueeze_dim(1),
            None => y,
        }
    }

    /// Runs the projection that the weights mix; they add up to 1 over the experts.
    ///
    /// Weights of the batch or of examples mix the parameters, those of tokens what the experts make of
    /// their token: an affine map of a mean is the mean of the affine maps.
    ///
    /// # Shapes
    /// - input: `[batch, tokens, in]`
    /// - weights: `[batch or 1, tokens or 1, experts]`
    /// - output: `[batch, tokens, out]`
    pub fn mixed(&self, x: Tensor<3>, weights: Tensor<3>) -> Tensor<3> {
        if self.len() == 1 {
            return self.experts[0].forward(x);
        }
        let [batch, tokens, experts] = weights.dims();
        let [input, output] = self.experts[0].shape();
        if tokens > 1 {
            let parts: Tensor<4> = x.unsqueeze_dim(2);
            return self.gathered(parts * weights.clone().unsqueeze_dim(3), weights);
        }
        let flat = self.weights().reshape([experts, input * output]);
        let weight = weights.clone().reshape([batch, experts]).matmul(flat);
        let bias = self.biases().map(|b| weights.matmul(b.unsqueeze_dim(0)));
        if batch == 1 {
            let bias = bias.map(|b| b.reshape([output]));
            return adamix_kernels::linear(x, weight.reshape([input, output]), bias);
        }
        let y = x.matmul(weight.reshape([batch, input, output]));
        match bias {
            Some(bias) => y + bias,
            None => y,
        }
    }

    /// What every expert makes of the input, side by side.
    ///
    /// # Shapes
    /// - input: `[batch, tokens, in]`
    /// - output: `[batch, tokens, experts · out]`
    pub fn all(&self, x: Tensor<3>) -> Tensor<3> {
        if self.len() == 1 {
            return self.experts[0].forward(x);
        }
        let weights = self.experts.iter().map(|e| e.weight.val()).collect();
        let bias = self.biases().map(|biases| biases.flatten(0, 1));
        adamix_kernels::linear(x, Tensor::cat(weights, 1), bias)
    }

    /// The sum of what each expert makes of its own part, which already has its weight.
    ///
    /// # Shapes
    /// - parts: `[batch, tokens, M, in]`
    /// - weights: `[batch or 1, tokens or 1, M]`, those of the parts, for the biases
    /// - output: `[batch, tokens, out]`
    pub fn gathered(&self, parts: Tensor<4>, weights: Tensor<3>) -> Tensor<3> {
        let [batch, tokens, experts, input] = parts.dims();
        let biases = self.biases();
        if self.len() == 1 {
            let sum = parts.sum_dim(2).reshape([batch, tokens, input]);
            let y = adamix_kernels::linear(sum, self.experts[0].weight.val(), None);
            return match biases {
                Some(biases) => y + weights.sum_dim(2) * biases.unsqueeze_dim(0),
                None => y,
            };
        }
        let below = Tensor::cat(self.experts.iter().map(|e| e.weight.val()).collect(), 0);
        let flat = parts.reshape([batch, tokens, experts * input]);
        let y = adamix_kernels::linear(flat, below, None);
        match biases {
            Some(biases) => y + weights.matmul(biases.unsqueeze_dim(0)),
            None => y,
        }
    }

    /// The table that the decision makes of the bank: what the bank makes of the identity. A bank of tables
    /// follows the down side.
    ///
    /// # Shapes
    /// - output: `[batch, rows, width]`, or `[1, rows, width]` where all examples have the same
    ///
    /// # Panics
    /// If the decision tells tokens apart, which a table cannot follow.
    pub fn table(&self, decision: &Decision) -> Tensor<3> {
        let weight = self.experts[0].weight.val();
        let rows = weight.dims()[0];
        let identity = Tensor::<2>::eye(rows, &weight.device()).unsqueeze::<3>();
        let repeated = |batch: usize| identity.clone().expand([batch, rows, rows]);
        match decision {
            Decision::Experts { down, .. } => match down {
                Choice::One(_) => self.forward(identity, down),
                Choice::PerExample(examples) => self.forward(repeated(examples.len()), down),
                Choice::PerToken(_) => panic!("a table cannot be chosen for each token"),
            },
            Decision::Mixed(mixed) => {
                let [batch, tokens, _] = mixed.weights.dims();
                assert!(tokens == 1, "a table cannot be mixed for each token");
                self.mixed(repeated(batch), mixed.weights.clone())
            }
        }
    }

    /// The weights of all experts, `[experts, in, out]`.
    fn weights(&self) -> Tensor<3> {
        Tensor::stack(self.experts.iter().map(|e| e.weight.val()).collect(), 0)
    }

    /// The biases of all experts, `[experts, out]`.
    fn biases(&self) -> Option<Tensor<2>> {
        let biases: Option<Vec<_>> = self
            .experts
            .iter()
            .map(|e| Some(e.bias.as_ref()?.val()))
            .collect();
        biases.map(|biases| Tensor::stack(biases, 0))
    }

    /// The bank of one that `rule` makes of a bank that stands alone; `place` is its path.
    ///
    /// # Errors
    /// If the rule cannot merge it.
    pub fn merged(&self, rule: &dyn MergeRule, place: &Place<'_>) -> Result<Self, MergeError> {
        match self.experts.as_slice() {
            [_] => Ok(self.clone()),
            experts => Ok(Self::of(rule.merge(experts, place)?)),
        }
    }

    /// A bank of one projection.
    pub fn of(expert: Linear) -> Self {
        Self {
            experts: vec![expert],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn per_example_equals_one_by_one() {
        let device = Device::flex();
        let bank = Bank::init(3, [4, 2], Initializer::Normal(1.0), Key::new(1), &device);
        let x = Tensor::<3>::from_data(
            burn::tensor::TensorData::new(
                Initializer::Normal(1.0).sample(Key::new(2), 24),
                [2, 3, 4],
            ),
            &device,
        );
        let both = bank.forward(x.clone(), &Choice::PerExample(vec![2, 0]));
        for (row, expert) in [(0, 2), (1, 0)] {
            let alone = bank.forward(x.clone().narrow(0, row, 1), &Choice::One(expert));
            let distance = (both.clone().narrow(0, row, 1) - alone)
                .abs()
                .max()
                .into_scalar::<f32>();
            assert!(distance < 1e-6, "{distance}");
        }
    }
}
