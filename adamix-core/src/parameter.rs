//! Parameters by their Hugging Face path: the names under which optimiser, files and traces know them.
//!
//! A module's field names form the path; [`Named::renames`] mends the few that Rust or a file format spell
//! differently. Linear weights are `[in, out]` in memory and `[out, in]` in files, as in PyTorch.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Gradients, Tensor, TensorData};
use thiserror::Error;

/// A module whose parameters have Hugging Face names.
pub trait Named: Module {
    /// Pairs of a field name and the path segment it stands for; an empty segment is left out, as is the
    /// name of an enum's variant.
    fn renames(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }
}

/// A parameter's place and kind, without its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterInfo {
    /// The Hugging Face path.
    pub name: String,
    /// The shape in files.
    pub shape: Vec<usize>,
    /// Whether training moves it.
    pub trainable: bool,
    /// The type of the module that owns it, such as `Linear` or `LayerNorm`.
    pub owner: String,
}

impl ParameterInfo {
    /// The number of values.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Values in file layout.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    /// The shape in files.
    pub shape: Vec<usize>,
    /// Row-major values.
    pub values: Vec<f32>,
}

/// What can be wrong with values that a module is asked to take.
#[derive(Debug, Error, PartialEq)]
pub enum ParameterError {
    /// The module has no parameter of that name.
    #[error("tensor `{0}` belongs to no parameter of this model")]
    Unknown(String),
    /// A parameter got no value.
    #[error("tensor `{0}` is missing")]
    Missing(String),
    /// The shapes differ.
    #[error("tensor `{name}` has shape {found:?}, the model needs {expected:?}")]
    Shape {
        /// The parameter.
        name: String,
        /// The shape of the given values.
        found: Vec<usize>,
        /// The shape of the parameter.
        expected: Vec<usize>,
    },
}

/// The path that leads to the parameter a traversal stands at.
struct Path {
    renames: Vec<(&'static str, &'static str)>,
    stack: Vec<(String, String)>,
}

impl Path {
    fn new(module: &impl Named) -> Self {
        let mut renames = module.renames();
        renames.push(("experts", ""));
        Self {
            renames,
            stack: Vec::new(),
        }
    }

    fn enter(&mut self, name: &str, container: &str) {
        let renamed = self.renames.iter().find(|(field, _)| *field == name);
        let segment = match renamed {
            Some((_, segment)) => segment,
            None if container.starts_with("Enum:") => "",
            None => name,
        };
        self.stack.push((segment.to_owned(), container.to_owned()));
    }

    fn exit(&mut self) {
        self.stack.pop();
    }

    fn name(&self) -> String {
        let segments: Vec<&str> = self
            .stack
            .iter()
            .map(|(s, _)| s.as_str())
            .filter(|s| !s.is_empty())
            .collect();
        segments.join(".")
    }

    fn owner(&self) -> &str {
        self.stack
            .last()
            .map_or("", |(_, container)| container.trim_start_matches("Struct:"))
    }

    fn info<const D: usize>(&self, param: &Param<Tensor<D>>) -> ParameterInfo {
        let mut shape = param.lazy_shape().to_vec();
        if self.is_transposed(D) {
            shape.reverse();
        }
        ParameterInfo {
            name: self.name(),
            shape,
            trainable: param.is_require_grad(),
            owner: self.owner().to_owned(),
        }
    }

    fn is_transposed(&self, rank: usize) -> bool {
        rank == 2 && self.owner() == "Linear"
    }
}

/// A traversal that hands every parameter with its place to a closure-like sink.
struct Walk<'a, S> {
    path: Path,
    sink: &'a mut S,
}

/// What a traversal does at a parameter.
trait Sink {
    fn take<const D: usize>(
        &mut self,
        info: ParameterInfo,
        transposed: bool,
        param: &Param<Tensor<D>>,
    );
}

impl<S: Sink> ModuleVisitor for Walk<'_, S> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let transposed = self.path.is_transposed(D);
        self.sink.take(self.path.info(param), transposed, param);
    }
}

fn walk(module: &impl Named, sink: &mut impl Sink) {
    let path = Path::new(module);
    module.visit(&mut Walk { path, sink });
}

/// Every parameter of a module, in the module's order.
pub fn parameters(module: &impl Named) -> Vec<ParameterInfo> {
    struct Infos(Vec<ParameterInfo>);
    impl Sink for Infos {
        fn take<const D: usize>(&mut self, info: ParameterInfo, _: bool, _: &Param<Tensor<D>>) {
            self.0.push(info);
        }
    }
    let mut infos = Infos(Vec::new());
    walk(module, &mut infos);
    infos.0
}

/// The values, in file layout, of the parameters that `wanted` selects.
pub fn export(
    module: &impl Named,
    wanted: impl Fn(&ParameterInfo) -> bool,
) -> BTreeMap<String, HostTensor> {
    struct Export<F>(F, BTreeMap<String, HostTensor>);
    impl<F: Fn(&ParameterInfo) -> bool> Sink for Export<F> {
        fn take<const D: usize>(
            &mut self,
            info: ParameterInfo,
            transposed: bool,
            param: &Param<Tensor<D>>,
        ) {
            if (self.0)(&info) {
                let value = param.val().without_autodiff();
                let value = if transposed { value.transpose() } else { value };
                let values = value
                    .into_data()
                    .convert::<f32>()
                    .try_into_vec()
                    .expect("f32 values");
                self.1.insert(
                    info.name,
                    HostTensor {
                        shape: info.shape,
                        values,
                    },
                );
            }
        }
    }
    let mut export = Export(wanted, BTreeMap::new());
    walk(module, &mut export);
    export.1
}

/// The gradients of the trainable parameters that have one, flat and in memory layout.
pub fn gradients(module: &impl Named, gradients: &mut Gradients) -> BTreeMap<String, Tensor<1>> {
    struct Collect<'a>(&'a mut Gradients, BTreeMap<String, Tensor<1>>);
    impl Sink for Collect<'_> {
        fn take<const D: usize>(&mut self, info: ParameterInfo, _: bool, param: &Param<Tensor<D>>) {
            if info.trainable
                && let Some(gradient) = param.val().grad_remove(self.0)
            {
                self.1.insert(info.name, gradient.flatten(0, D - 1));
            }
        }
    }
    let mut collect = Collect(gradients, BTreeMap::new());
    walk(module, &mut collect);
    collect.1
}

/// A traversal that replaces parameters.
struct Change<F> {
    path: Path,
    change: F,
}

/// What a replacing traversal does at a parameter.
pub(crate) trait Replace {
    /// The new parameter.
    fn replace<const D: usize>(
        &mut self,
        info: ParameterInfo,
        param: Param<Tensor<D>>,
    ) -> Param<Tensor<D>>;
}

impl<F: Replace> ModuleMapper for Change<F> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let info = self.path.info(&param);
        self.change.replace(info, param)
    }
}

/// Runs `replace` over every parameter of a module.
pub(crate) fn replace<M: Named, R: Replace>(module: M, replace: R) -> (M, R) {
    let path = Path::new(&module);
    let mut change = Change {
        path,
        change: replace,
    };
    let module = module.map(&mut change);
    (module, change.change)
}

/// Sets which parameters training moves.
pub fn set_trainable<M: Named>(module: M, trainable: impl Fn(&ParameterInfo) -> bool) -> M {
    struct Set<F>(F);
    impl<F: Fn(&ParameterInfo) -> bool> Replace for Set<F> {
        fn replace<const D: usize>(
            &mut self,
            info: ParameterInfo,
            param: Param<Tensor<D>>,
        ) -> Param<Tensor<D>> {
            let trainable = (self.0)(&info);
            param.set_require_grad(trainable)
        }
    }
    replace(module, Set(trainable)).0
}

/// Stores those of the wanted parameters that training does not move in `bf16`, for half the memory. Only
/// weights that [`adamix_kernels::linear`] multiplies by can be.
pub fn halve_frozen<M: Named>(module: M, wanted: impl Fn(&ParameterInfo) -> bool) -> M {
    struct Halve<F>(F);
    impl<F: Fn(&ParameterInfo) -> bool> Replace for Halve<F> {
        fn replace<const D: usize>(
            &mut self,
            info: ParameterInfo,
            param: Param<Tensor<D>>,
        ) -> Param<Tensor<D>> {
            match !info.trainable && (self.0)(&info) {
                true => param.map(|value| value.cast(DType::BF16)),
                false => param,
            }
        }
    }
    replace(module, Halve(wanted)).0
}

/// Puts values in file layout into the parameters of their names; all others stay.
///
/// # Errors
/// If a name is unknown or a shape differs; the first such is named.
pub fn assign<M: Named>(
    module: M,
    values: BTreeMap<String, HostTensor>,
) -> Result<M, ParameterError> {
    let infos: BTreeMap<String, ParameterInfo> = parameters(&module)
        .into_iter()
        .map(|info| (info.name.clone(), info))
        .collect();
    for (name, value) in &values {
        let info = infos
            .get(name)
            .ok_or_else(|| ParameterError::Unknown(name.clone()))?;
        if info.shape != value.shape {
            return Err(ParameterError::Shape {
                name: name.clone(),
                found: value.shape.clone(),
                expected: info.shape.clone(),
            });
        }
    }
    struct Assign(BTreeMap<String, HostTensor>);
    impl Replace for Assign {
        fn replace<const D: usize>(
            &mut self,
            info: ParameterInfo,
            param: Param<Tensor<D>>,
        ) -> Param<Tensor<D>> {
            let Some(value) = self.0.remove(&info.name) else {
                return param;
            };
            let transposed = D == 2 && info.owner == "Linear";
            param.map(|old| {
                let device = old.device();
                let new =
                    Tensor::<D>::from_data(TensorData::new(value.values, value.shape), &device);
                let new = if transposed {
                    contiguous(new.transpose())
                } else {
                    new
                };
                new.set_require_grad(old.is_require_grad())
            })
        }
    }
    Ok(replace(module, Assign(values)).0)
}

/// A transposed tensor laid out anew, so that later products need not do it each time.
fn contiguous<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    let device = tensor.device();
    Tensor::from_data(tensor.without_autodiff().into_data(), &device)
}

#[cfg(test)]
mod tests {
    use adamix_keys::Key;
    use burn::tensor::Device;

    use super::*;
    use crate::adaptation::{Bottleneck, BottleneckConfig};

    impl Named for Bottleneck {}

    #[test]
    fn names_and_shapes_are_those_of_the_files() {
        let mixture =
            BottleneckConfig::new(2)
                .with_experts(2)
                .init(8, Key::new(1), &Device::flex());
        let infos = parameters(&mixture);
        let names: Vec<_> = infos
            .iter()
            .map(|i| (i.name.as_str(), i.shape.clone()))
            .collect();
        assert_eq!(
            names,
            [
                ("down.0.weight", vec![2, 8]),
                ("down.0.bias", vec![2]),
                ("down.1.weight", vec![2, 8]),
                ("down.1.bias", vec![2]),
                ("up.0.weight", vec![8, 2]),
                ("up.0.bias", vec![8]),
            ]
        );
    }

    #[test]
    fn export_and_assign_are_inverse() {
        let device = Device::flex();
        let source = BottleneckConfig::new(2).init(8, Key::new(1), &device);
        let other = BottleneckConfig::new(2).init(8, Key::new(2), &device);
        let values = export(&source, |_| true);
        assert_ne!(export(&other, |_| true), values);
        let other = assign(other, values.clone()).unwrap();
        assert_eq!(export(&other, |_| true), values);
    }

    #[test]
    fn frozen_weights_are_halved_and_trained_ones_stay() {
        let device = Device::flex().autodiff();
        let mixture = BottleneckConfig::new(2).init(8, Key::new(1), &device);
        let before = export(&mixture, |_| true);
        let mixture = set_trainable(mixture, |info| info.name.starts_with("up."));
        let mixture = halve_frozen(mixture, |info| info.shape.len() == 2);
        let types = |bank: &crate::bank::Bank| bank.experts[0].weight.val().dtype();
        assert_eq!(types(&mixture.down), DType::BF16);
        assert_eq!(types(&mixture.up), DType::F32);
        for (name, after) in export(&mixture, |_| true) {
            for (a, b) in after.values.iter().zip(&before[&name].values) {
                let halved = name.starts_with("down.") && name.ends_with("weight");
                // Eight bits of mantissa, rounded.
                let tolerance = if halved { b.abs() / 256.0 } else { 0.0 };
                assert!((a - b).abs() <= tolerance, "{name}: {a} {b}");
            }
        }
    }

    #[test]
    fn a_wrong_shape_is_named() {
        let mixture = BottleneckConfig::new(2).init(8, Key::new(1), &Device::flex());
        let bad = HostTensor {
            shape: vec![3],
            values: vec![0.0; 3],
        };
        let error = assign(mixture, BTreeMap::from([("down.0.bias".to_owned(), bad)])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "tensor `down.0.bias` has shape [3], the model needs [2]"
        );
    }
}
