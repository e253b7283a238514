//! Where a module's parameters come from: files, keys, or nothing but zeros.

use adamix_core::layer_norm::LayerNorm;
use adamix_core::linear::Linear;
use adamix_core::random::Initializer;
use adamix_keys::Key;
use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};

use super::{HubError, Weights};

/// A place in the tree of names, with what fills parameters there.
///
/// Modules are built by walking down ([`Source::at`]) and asking for parameters by their last name, so a
/// missing tensor is reported by its whole path. Parameters from files are frozen, all others trainable.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    origin: Origin<'a>,
    path: String,
    device: Device,
}

#[derive(Clone, Copy, Debug)]
enum Origin<'a> {
    Files(&'a Weights),
    Random(Key),
    Zeros,
}

impl<'a> Source<'a> {
    /// Parameters of files, by their names there; frozen.
    pub fn files(weights: &'a Weights, device: &Device) -> Self {
        Self {
            origin: Origin::Files(weights),
            path: String::new(),
            device: device.clone(),
        }
    }

    /// Fresh parameters drawn from `key` and their names; trainable.
    pub fn random(key: Key, device: &Device) -> Self {
        Self {
            origin: Origin::Random(key),
            path: String::new(),
            device: device.clone(),
        }
    }

    /// Zeros: for counting and for shapes, at no cost.
    pub fn zeros(device: &Device) -> Self {
        Self {
            origin: Origin::Zeros,
            path: String::new(),
            device: device.clone(),
        }
    }

    /// The device that parameters are put on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The place one name further down.
    pub fn at(&self, name: impl core::fmt::Display) -> Self {
        let path = if self.path.is_empty() {
            name.to_string()
        } else {
            format!("{}.{name}", self.path)
        };
        Self {
            path,
            ..self.clone()
        }
    }

    /// Whether this place would give a parameter of that name.
    pub fn has(&self, name: &str) -> bool {
        match self.origin {
            Origin::Files(weights) => weights.contains(&self.at(name).path),
            Origin::Random(_) | Origin::Zeros => true,
        }
    }

    fn values(
        &self,
        name: &str,
        shape: &[usize],
        initializer: Initializer,
    ) -> Result<Vec<f32>, HubError> {
        let path = self.at(name).path;
        let count = shape.iter().product();
        match self.origin {
            Origin::Files(weights) => weights.read(&path, shape),
            Origin::Random(key) => Ok(initializer.sample(key.purpose(&path), count)),
            Origin::Zeros => Ok(Vec::new()),
        }
    }

    /// A parameter in the layout of its file.
    pub fn parameter<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        initializer: Initializer,
    ) -> Result<Param<Tensor<D>>, HubError> {
        let tensor = match self.origin {
            Origin::Zeros => Tensor::zeros(shape, &self.device),
            _ => {
                let values = self.values(name, &shape, initializer)?;
                Tensor::from_data(TensorData::new(values, shape), &self.device)
            }
        };
        let trainable = matches!(self.origin, Origin::Random(_));
        Ok(Param::from_tensor(tensor).set_require_grad(trainable))
    }

    /// `weight` and `bias` of a norm.
    pub fn layer_norm(&self, size: usize, epsilon: f64) -> Result<LayerNorm, HubError> {
        let weight = self.parameter("weight", [size], Initializer::Ones)?;
        let bias = self.parameter("bias", [size], Initializer::Zeros)?;
        Ok(LayerNorm::new(weight, bias, epsilon))
    }

    /// `weight` (`[output, input]` in files) and `bias` of an affine map.
    pub fn linear(&self, input: usize, output: usize, range: f64) -> Result<Linear, HubError> {
        let weight = match self.origin {
            Origin::Zeros => Tensor::zeros([input, output], &self.device),
            _ => {
                let values = self.values("weight", &[output, input], Initializer::Normal(range))?;
                let values = transpose(&values, output, input);
                Tensor::from_data(TensorData::new(values, [input, output]), &self.device)
            }
        };
        let trainable = matches!(self.origin, Origin::Random(_));
        Ok(Linear {
            weight: Param::from_tensor(weight).set_require_grad(trainable),
            bias: Some(self.parameter("bias", [output], Initializer::Zeros)?),
        })
    }
}

/// The transpose of a row-major matrix, in blocks that stay in cache.
fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    const BLOCK: usize = 32;
    let mut out = vec![0f32; values.len()];
    for r0 in (0..rows).step_by(BLOCK) {
        for c0 in (0..columns).step_by(BLOCK) {
            for r in r0..(r0 + BLOCK).min(rows) {
                for c in c0..(c0 + BLOCK).min(columns) {
                    out[c * rows + r] = values[r * columns + c];
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transpose_moves_every_value() {
        let (rows, columns) = (33, 70);
        let values: Vec<f32> = (0..rows * columns).map(|v| v as f32).collect();
        let out = transpose(&values, rows, columns);
        assert!(
            (0..rows).all(|r| (0..columns).all(|c| out[c * rows + r] == values[r * columns + c]))
        );
    }
}
