//! What merging a run loses: where it is exact, and how much it is off where it is not.

use std::collections::BTreeMap;
use std::slice;
use std::sync::{Mutex, PoisonError};

use adamix_core::adaptation::Adaptation;
use adamix_core::merging::{MergeRule, Pair, ProductGap};
use adamix_core::parameter::{self, HostTensor};
use adamix_core::routing::{Decision, Mix, RoutingContext, RoutingPolicy};
use adamix_models::site::{Adaptable, Held};
use anyhow::Result;
use burn::module::Module;
use burn::tensor::Tensor;
use serde::Serialize;

use super::candidates::{Candidates, Parameter};
use super::comparison::{Comparison, compare};
use super::rows::Rows;

/// What merging a run loses.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// The largest difference of a value of a merged bank from the mean of its experts, and the number of banks
    /// with several experts. 0 up to rounding where the rule is the mean.
    pub banks: Banks,
    /// Each module.
    pub sites: Vec<SiteReport>,
    /// The whole model: layers of exact modules are still no ensemble of models.
    pub model: Comparison,
}

/// Merged banks beside the means of their experts.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Banks {
    /// Banks with several experts.
    pub merged: usize,
    /// The largest difference of a value from the experts' mean; `None` where a rule gave a bank another shape.
    pub from_mean: Option<f64>,
}

/// One module, merged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SiteReport {
    /// Its path.
    pub module: String,
    /// What it is.
    pub kind: &'static str,
    /// Its experts, down and up.
    pub experts: (usize, usize),
    /// Whether the module of the banks' means is the mean of the experts, whatever it reads.
    pub exact: bool,
    /// Why, or why not.
    pub why: &'static str,
    /// Of linear modules: the distance of the merged product from the mean of the experts' products, relative to
    /// that mean (Frobenius).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_gap: Option<f64>,
    /// What the merged module adds, less the mean of what the experts add, relative to that mean (root mean
    /// squares over tokens), where all layers below run as that mean; `None` where nothing is added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_gap: Option<f64>,
}

/// Merges a run by a rule and reports on rows. `routed` is its policy, where that is not meant to be merged.
///
/// # Errors
/// If the rule cannot merge it, or a row cannot be answered.
pub fn verify<R: Rows>(
    candidates: &Candidates<R::Model>,
    rule: &dyn MergeRule,
    routed: Option<&dyn RoutingPolicy>,
    rows: &R,
    batch_size: usize,
    watch: &dyn Fn(u64),
) -> Result<Verification> {
    let mixture = candidates.mixture.valid();
    let merged = mixture.merged(rule)?;
    let scale = Scale {
        mixtures: mixture.held(),
        merged: merged.held(),
        sums: Mutex::default(),
    };
    for batch in rows.batches(batch_size) {
        rows.answer(&mixture, &batch, Some(&scale))?;
    }
    let sums = scale
        .sums
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let one = slice::from_ref(&merged);
    let mut compared = compare(candidates, one, routed, rows, batch_size, watch)?;
    let sites = scale.mixtures.iter().zip(&scale.merged);
    let sites = sites.map(|(mixture, merged)| report(mixture, merged, sums.get(&mixture.module)));
    Ok(Verification {
        banks: banks(&mixture, &merged),
        sites: sites.collect(),
        model: compared.remove(0),
    })
}

fn report(mixture: &Held, merged: &Held, sums: Option<&[f64; 2]>) -> SiteReport {
    let exactness = mixture.adaptation.exactness();
    let product_gap = match (&mixture.adaptation, &merged.adaptation) {
        (Adaptation::LowRank(experts), Adaptation::LowRank(one)) => {
            let pair = Pair {
                module: &mixture.module,
                down: &experts.down.experts,
                up: &experts.up.experts,
                linear: true,
            };
            let factors = [&one.down.experts[0], &one.up.experts[0]];
            Some(ProductGap::of(&pair, factors).relative())
        }
        _ => None,
    };
    SiteReport {
        module: mixture.module.clone(),
        kind: mixture.adaptation.config().kind(),
        experts: mixture.adaptation.counts(),
        exact: exactness.exact,
        why: exactness.why,
        product_gap,
        output_gap: sums.map(|[distance, mean]| match *distance {
            0.0 => 0.0,
            distance => (distance / mean).sqrt(),
        }),
    }
}

/// Compares each bank with the mean of its experts, taken anew.
fn banks<M: Adaptable>(mixture: &M, merged: &M) -> Banks {
    let of_banks = |model: &M| -> BTreeMap<String, HostTensor> {
        parameter::export(model, |info| info.name.contains(adamix_core::account::MARK))
    };
    let (experts, merged) = (of_banks(mixture), of_banks(merged));
    let mut found = Banks {
        merged: 0,
        from_mean: Some(0.0),
    };
    for (name, one) in &merged {
        let parameter = Parameter::of(name);
        if !parameter.is_of_bank() {
            continue;
        }
        let values = (0..).map_while(|i| experts.get(&parameter.place().in_expert(i)));
        let values: Vec<&HostTensor> = values.collect();
        if values.len() < 2 {
            continue;
        }
        found.merged += usize::from(name.ends_with(".weight"));
        if values[0].shape != one.shape {
            found.from_mean = None;
            continue;
        }
        for (j, value) in one.values.iter().enumerate() {
            let sum: f64 = values.iter().map(|v| f64::from(v.values[j])).sum();
            let far = (f64::from(*value) - sum / values.len() as f64).abs();
            found.from_mean = found.from_mean.map(|most| most.max(far));
        }
    }
    found
}

/// Runs every mixture as the mean of its experts' outputs, and notes how far the merged module would be off.
#[derive(Debug)]
struct Scale {
    mixtures: Vec<Held>,
    merged: Vec<Held>,
    /// By module: squared distance, squared mean.
    sums: Mutex<BTreeMap<String, [f64; 2]>>,
}

impl RoutingPolicy for Scale {
    fn name(&self) -> &str {
        "scale"
    }

    fn decide(&self, context: &RoutingContext<'_>) -> Decision {
        let experts = context.experts();
        let weights = Tensor::full([1, 1, experts], 1.0 / experts as f64, context.device);
        let mean = Decision::mixed(weights, Mix::Outputs);
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let modules = self.mixtures.iter().zip(&self.merged);
        for (mixture, merged) in modules.filter(|(held, _)| held.site == context.site) {
            let Some(x) = context.input else { continue };
            let update =
                |held: &Held, decision| (held.adaptation).update(x.clone(), context.mask, decision);
            let (Some(mean), Some(one)) =
                (update(mixture, &mean), update(merged, &Decision::SINGLE))
            else {
                continue;
            };
            let tokens = context.token_weights();
            let square = |x: Tensor<3>| -> f64 {
                (x * tokens.clone())
                    .square()
                    .sum()
                    .into_scalar::<f32>()
                    .into()
            };
            let sum = sums.entry(mixture.module.clone()).or_default();
            sum[0] += square(one - mean.clone());
            sum[1] += square(mean);
        }
        mean
    }
}
