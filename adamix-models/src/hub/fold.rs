//! Adapters folded into the weights they adapt: a full model that needs no adapter code, nor its time.

use std::collections::BTreeMap;

use adamix_core::account::MARK;
use adamix_core::parameter::{self, HostTensor, Named, ParameterInfo};
use thiserror::Error;

use super::{FactorSide, Factors, LowRankUpdate, PortableAdapter};

/// How a family's files lay out the weight of an affine map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[output, input]`: PyTorch's linear layers.
    OutIn,
    /// `[input, output]`: GPT-2's `Conv1D`.
    InOut,
}

/// Why an adapter cannot be folded.
#[derive(Debug, Error, PartialEq)]
pub enum FoldError {
    /// The model lacks what the adapter changes.
    #[error("the model has no tensor `{0}`")]
    Missing(String),
    /// The shapes differ.
    #[error("the adapter's part for `{tensor}` has {found:?} features, the model {expected:?}")]
    Features {
        /// The tensor of the model.
        tensor: String,
        /// What the adapter has.
        found: Vec<usize>,
        /// What the model has.
        expected: Vec<usize>,
    },
    /// A prefix is no change of weights.
    #[error("a prefix is keys and values of its own, which no weight of the model can hold")]
    Prefix,
}

/// Changes a model's tensors so that it computes alone what it computed with the adapter.
///
/// # Errors
/// If the adapter has a prefix, or does not fit. Some tensors may be changed by then.
pub fn fold(
    tensors: &mut BTreeMap<String, HostTensor>,
    adapter: &PortableAdapter,
    layout: Layout,
) -> Result<(), FoldError> {
    if adapter.prefix.is_some() {
        return Err(FoldError::Prefix);
    }
    for (name, value) in &adapter.parameters {
        let old = tensor(tensors, name)?;
        check(name, &value.shape, &old.shape)?;
        *old = value.clone();
    }
    for (module, update) in &adapter.low_rank {
        let name = format!("{module}.weight");
        add(&name, tensor(tensors, &name)?, update, layout)?;
    }
    for (module, factors) in &adapter.factors {
        let name = format!("{module}.weight");
        multiply(&name, tensor(tensors, &name)?, factors, layout)?;
        let bias = format!("{module}.bias");
        if let (FactorSide::Output, Some(bias)) = (factors.side, tensors.get_mut(&bias)) {
            for (value, factor) in bias.values.iter_mut().zip(&factors.values) {
                *value *= factor;
            }
        }
    }
    Ok(())
}

/// A loaded model with an adapter folded in; all that the adapter does not touch stays shared with `model`.
///
/// # Errors
/// If the adapter has a prefix, or does not fit.
pub fn fold_into<M: Named>(
    model: M,
    adapter: &PortableAdapter,
    layout: Layout,
) -> Result<M, FoldError> {
    let touched = |info: &ParameterInfo| {
        let module = info.name.rsplit_once('.').map_or("", |(module, _)| module);
        adapter.parameters.contains_key(&info.name)
            || adapter.low_rank.contains_key(module)
            || adapter.factors.contains_key(module)
    };
    let mut tensors = parameter::export(&model, touched);
    fold(&mut tensors, adapter, layout)?;
    Ok(parameter::assign(model, tensors).expect("the model's own names and shapes"))
}

/// The modules of a model that an adapter can be on: its affine maps, by path.
pub fn affine_modules(model: &impl Named) -> Vec<String> {
    let is_table = |owner: &str| owner.ends_with("Table");
    let infos = parameter::parameters(model);
    let affine = infos.into_iter().filter(|info| {
        info.shape.len() == 2 && !is_table(&info.owner) && !info.name.contains(MARK)
    });
    affine
        .filter_map(|info| info.name.strip_suffix(".weight").map(str::to_owned))
        .collect()
}

fn tensor<'a>(
    tensors: &'a mut BTreeMap<String, HostTensor>,
    name: &str,
) -> Result<&'a mut HostTensor, FoldError> {
    let missing = || FoldError::Missing(name.to_owned());
    tensors.get_mut(name).ok_or_else(missing)
}

fn check(name: &str, found: &[usize], expected: &[usize]) -> Result<(), FoldError> {
    if found == expected {
        return Ok(());
    }
    Err(FoldError::Features {
        tensor: name.to_owned(),
        found: found.to_vec(),
        expected: expected.to_vec(),
    })
}

fn add(
    name: &str,
    weight: &mut HostTensor,
    update: &LowRankUpdate,
    layout: Layout,
) -> Result<(), FoldError> {
    let [input, output] = update.features();
    let expected = match layout {
        Layout::OutIn => [output, input],
        Layout::InOut => [input, output],
    };
    check(name, &expected, &weight.shape)?;
    let product = update.product();
    match layout {
        Layout::OutIn => {
            for (value, change) in weight.values.iter_mut().zip(product) {
                *value += change;
            }
        }
        Layout::InOut => {
            for (i, row) in weight.values.chunks_mut(output).enumerate() {
                for (o, value) in row.iter_mut().enumerate() {
                    *value += product[o * input + i];
                }
            }
        }
    }
    Ok(())
}

fn multiply(
    name: &str,
    weight: &mut HostTensor,
    factors: &Factors,
    layout: Layout,
) -> Result<(), FoldError> {
    let of_rows = match (layout, factors.side) {
        (Layout::OutIn, FactorSide::Output) | (Layout::InOut, FactorSide::Input) => true,
        (Layout::OutIn, FactorSide::Input) | (Layout::InOut, FactorSide::Output) => false,
    };
    let [rows, columns] = weight.shape[..] else {
        return check(name, &[factors.values.len()], &weight.shape);
    };
    check(
        name,
        &[factors.values.len()],
        &[if of_rows { rows } else { columns }],
    )?;
    for (r, row) in weight.values.chunks_mut(columns).enumerate() {
        for (c, value) in row.iter_mut().enumerate() {
            *value *= factors.values[if of_rows { r } else { c }];
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize], values: &[f32]) -> HostTensor {
        HostTensor {
            shape: shape.to_vec(),
            values: values.to_vec(),
        }
    }

    fn model(shape: [usize; 2], values: &[f32]) -> BTreeMap<String, HostTensor> {
        BTreeMap::from([
            ("m.weight".to_owned(), tensor(&shape, values)),
            ("m.bias".to_owned(), tensor(&[3], &[1.0, 2.0, 3.0])),
        ])
    }

    #[test]
    fn an_update_is_added_in_either_layout() {
        let update = LowRankUpdate {
            a: tensor(&[1, 2], &[1.0, 10.0]),
            b: tensor(&[3, 1], &[1.0, 2.0, 3.0]),
            scale: 0.5,
        };
        let adapter = PortableAdapter {
            low_rank: BTreeMap::from([("m".to_owned(), update)]),
            ..PortableAdapter::default()
        };
        let mut out_in = model([3, 2], &[0.0; 6]);
        fold(&mut out_in, &adapter, Layout::OutIn).unwrap();
        assert_eq!(out_in["m.weight"].values, [0.5, 5.0, 1.0, 10.0, 1.5, 15.0]);
        let mut in_out = model([2, 3], &[0.0; 6]);
        fold(&mut in_out, &adapter, Layout::InOut).unwrap();
        assert_eq!(in_out["m.weight"].values, [0.5, 1.0, 1.5, 5.0, 10.0, 15.0]);
        let error = fold(&mut in_out, &adapter, Layout::OutIn).unwrap_err();
        assert!(error.to_string().contains("`m.weight`"), "{error}");
    }

    #[test]
    fn factors_multiply_inputs_or_outputs_with_their_bias() {
        let factors = |side, values: &[f32]| PortableAdapter {
            factors: BTreeMap::from([(
                "m".to_owned(),
                Factors {
                    values: values.to_vec(),
                    side,
                },
            )]),
            ..PortableAdapter::default()
        };
        let mut tensors = model([3, 2], &[1.0; 6]);
        fold(
            &mut tensors,
            &factors(FactorSide::Output, &[2.0, 3.0, 4.0]),
            Layout::OutIn,
        )
        .unwrap();
        assert_eq!(tensors["m.weight"].values, [2.0, 2.0, 3.0, 3.0, 4.0, 4.0]);
        assert_eq!(tensors["m.bias"].values, [2.0, 6.0, 12.0]);
        fold(
            &mut tensors,
            &factors(FactorSide::Input, &[1.0, 10.0]),
            Layout::OutIn,
        )
        .unwrap();
        assert_eq!(
            tensors["m.weight"].values,
            [2.0, 20.0, 3.0, 30.0, 4.0, 40.0]
        );
        assert_eq!(tensors["m.bias"].values, [2.0, 6.0, 12.0]);
    }

    #[test]
    fn a_prefix_and_an_absent_module_are_refused() {
        let prefix = PortableAdapter {
            prefix: Some(tensor(&[1, 4], &[0.0; 4])),
            ..PortableAdapter::default()
        };
        assert_eq!(
            fold(&mut BTreeMap::new(), &prefix, Layout::OutIn),
            Err(FoldError::Prefix)
        );
        let head = PortableAdapter {
            parameters: BTreeMap::from([("classifier.bias".to_owned(), tensor(&[1], &[0.0]))]),
            ..PortableAdapter::default()
        };
        let error = fold(&mut BTreeMap::new(), &head, Layout::OutIn).unwrap_err();
        assert_eq!(error, FoldError::Missing("classifier.bias".to_owned()));
    }
}
