//! `.bin` files of Microsoft's loralib, such as `roberta_base_lora_mnli.bin`: a pickled state dict of
//! `lora_A`, `lora_B` and the task's head. It is parsed, never run.

use std::collections::BTreeMap;
use std::path::Path;

use adamix_core::parameter::HostTensor;

use super::{HubError, LowRankUpdate, PortableAdapter, Weights};

/// Reads a file.
///
/// `alpha` is LoRA's numerator: these files do not hold it (the authors' GLUE runs have 16 for the base
/// sizes). A fused map of queries, keys and values (`MergedLinear`) has its ranks stacked in `lora_A` and the
/// outputs of its adapted parts in `lora_B`; the parts are queries and values, as in all published files.
///
/// # Errors
/// If the file is not a state dict, has one factor of a map without the other, or shapes that do not fit.
pub fn open(path: &Path, prefix: &str, alpha: f64) -> Result<PortableAdapter, HubError> {
    let weights = Weights::from_files(path, vec![path.to_owned()])?;
    let mut halves: BTreeMap<String, [Option<HostTensor>; 2]> = BTreeMap::new();
    let mut adapter = PortableAdapter::default();
    for name in weights.names() {
        let tensor = weights.tensor(name)?;
        let name = rooted(name, prefix);
        match (name.strip_suffix(".lora_A"), name.strip_suffix(".lora_B")) {
            (Some(module), _) => halves.entry(module.to_owned()).or_default()[0] = Some(tensor),
            (_, Some(module)) => halves.entry(module.to_owned()).or_default()[1] = Some(tensor),
            _ => {
                adapter.parameters.insert(name, tensor);
            }
        }
    }
    for (module, halves) in halves {
        let missing = |half: &str| HubError::Missing {
            path: path.to_owned(),
            tensor: format!("{module}.{half}"),
        };
        let [a, b] = halves;
        let a = a.ok_or_else(|| missing("lora_A"))?;
        let b = b.ok_or_else(|| missing("lora_B"))?;
        let update = update(&module, a, b, alpha).map_err(|message| HubError::Format {
            path: path.to_owned(),
            message,
        })?;
        adapter.low_rank.insert(module, update);
    }
    if adapter.low_rank.is_empty() {
        return Err(HubError::Absent {
            path: path.to_owned(),
            wanted: "`lora_A` and `lora_B`".to_owned(),
        });
    }
    Ok(adapter)
}

fn update(module: &str, a: HostTensor, b: HostTensor, alpha: f64) -> Result<LowRankUpdate, String> {
    let ([ranks, _], [output, rank]) = (matrix(module, &a)?, matrix(module, &b)?);
    let scale = alpha / rank as f64;
    if ranks == rank {
        return Ok(LowRankUpdate { a, b, scale });
    }
    if ranks != 2 * rank || output % 2 != 0 {
        return Err(format!(
            "`{module}`: lora_A {:?} and lora_B {:?} are neither one map nor two parts of a fused one",
            a.shape, b.shape
        ));
    }
    // Queries first, then values, in both factors.
    let half = |tensor: &HostTensor, second: bool| {
        let middle = tensor.values.len() / 2;
        let values = if second {
            &tensor.values[middle..]
        } else {
            &tensor.values[..middle]
        };
        HostTensor {
            shape: vec![tensor.shape[0] / 2, tensor.shape[1]],
            values: values.to_vec(),
        }
    };
    let part = |second| LowRankUpdate {
        a: half(&a, second),
        b: half(&b, second),
        scale,
    };
    Ok(LowRankUpdate::stacked(&[
        Some(&part(false)),
        None,
        Some(&part(true)),
    ]))
}

fn matrix(module: &str, tensor: &HostTensor) -> Result<[usize; 2], String> {
    match tensor.shape[..] {
        [rows, columns] if rows > 0 && columns > 0 => Ok([rows, columns]),
        _ => Err(format!(
            "`{module}`: a factor of shape {:?} is no matrix",
            tensor.shape
        )),
    }
}

/// A path with the base's prefix, without the key that some files have over the whole state dict, and that of a model
/// which was trained on several devices.
fn rooted(name: &str, prefix: &str) -> String {
    let name = name.strip_prefix("model_state_dict.").unwrap_or(name);
    let name = name.strip_prefix("module.").unwrap_or(name);
    let whole = name.starts_with("classifier.") || name.starts_with(&format!("{prefix}."));
    if whole || name.starts_with("lm_head.") {
        name.to_owned()
    } else {
        format!("{prefix}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_of_the_state_dict_are_taken_off() {
        let name = "h.0.attn.c_attn.lora_A";
        let wrapped = [
            "",
            "transformer.",
            "module.transformer.",
            "model_state_dict.module.transformer.",
        ];
        for start in wrapped {
            let found = rooted(&format!("{start}{name}"), "transformer");
            assert_eq!(found, format!("transformer.{name}"));
        }
        assert_eq!(
            rooted("module.classifier.weight", "roberta"),
            "classifier.weight"
        );
    }
}
