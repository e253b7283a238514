//! M projections of one shape, or one that all passes share: the smallest part of a mixture.

use adamix_keys::Key;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};

use crate::linear::Linear;
use crate::random::Initializer;
use crate::routing::Choice;

/// The interchangeable projections of one side (down or up) of a mixture.
#[derive(Module, Debug)]
pub struct Bank {
    /// One expert where the side is shared, else M, all of one shape.
    pub experts: Vec<Linear>,
}

impl Bank {
    /// `count` experts, each drawn on its own (reference behaviour: `facts` §1.3, N(0, 0.02), bias 0).
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

    /// How many experts a policy chooses from.
    pub fn len(&self) -> usize {
        self.experts.len()
    }

    /// Whether the bank has no expert; true for no bank that `init` made.
    pub fn is_empty(&self) -> bool {
        self.experts.is_empty()
    }

    /// Runs the chosen expert, or for each example its own.
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
            Choice::PerExample(experts) => self.forward_per_example(x, experts),
        }
    }

    /// One batched product with the weights gathered along the batch.
    fn forward_per_example(&self, x: Tensor<3>, experts: &[usize]) -> Tensor<3> {
        if self.len() == 1 {
            return self.experts[0].forward(x);
        }
        let device = x.device();
        let indices: Vec<i32> = experts.iter().map(|e| *e as i32).collect();
        let indices = Tensor::<1, Int>::from_data(indices.as_slice(), &device);
        let weights = Tensor::stack::<3>(self.experts.iter().map(|e| e.weight.val()).collect(), 0);
        let y = x.matmul(weights.select(0, indices.clone()));
        let biases: Vec<_> = self
            .experts
            .iter()
            .filter_map(|e| e.bias.as_ref())
            .map(|b| b.val())
            .collect();
        if biases.is_empty() {
            return y;
        }
        y + Tensor::stack::<2>(biases, 0)
            .select(0, indices)
            .unsqueeze_dim(1)
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
