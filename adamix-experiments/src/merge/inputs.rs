//! What each expert's projections read, gathered by running that expert in every layer.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use adamix_core::merging::Gram;
use adamix_core::routing::{Decision, RoutingContext, RoutingPolicy};
use adamix_models::site::{Adaptable, Held};
use anyhow::Result;
use burn::module::Module;
use burn::tensor::Tensor;

use super::candidates::Candidates;
use super::rows::Rows;

/// By side and expert, as [`RegMean`](adamix_core::merging::RegMean) looks it up: `<module>.down.0`. Padding does
/// not count.
///
/// # Errors
/// If a row cannot be answered.
pub fn grams<R: Rows>(
    candidates: &Candidates<R::Model>,
    rows: &R,
    batch_size: usize,
    watch: &dyn Fn(u64),
) -> Result<BTreeMap<String, Gram>> {
    let mut grams = BTreeMap::new();
    for expert in 0..candidates.experts.len() {
        let model = candidates.mixture_around(expert)?.valid();
        let reader = Reader {
            expert,
            held: model.held(),
            grams: Mutex::default(),
        };
        for batch in rows.batches(batch_size) {
            rows.answer(&model, &batch, Some(&reader))?;
            watch(batch.len() as u64);
        }
        grams.append(
            &mut reader
                .grams
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner),
        );
    }
    Ok(grams)
}

/// Sends everything to one expert, and notes what its projections read.
#[derive(Debug)]
struct Reader {
    expert: usize,
    held: Vec<Held>,
    grams: Mutex<BTreeMap<String, Gram>>,
}

impl RoutingPolicy for Reader {
    fn name(&self) -> &str {
        "reader"
    }

    fn decide(&self, context: &RoutingContext<'_>) -> Decision {
        let mut grams = self.grams.lock().unwrap_or_else(PoisonError::into_inner);
        for held in self.held.iter().filter(|held| held.site == context.site) {
            let Some(x) = context.input else { continue };
            let Some(inputs) = held.adaptation.inputs(x.clone(), context.mask, self.expert) else {
                continue;
            };
            let (down, up) = held.adaptation.counts();
            for (input, (bank, experts)) in inputs.into_iter().zip([("down", down), ("up", up)]) {
                // A side with one projection is not merged.
                if experts > 1 {
                    let name = format!("{}.{bank}.{}", held.module, self.expert);
                    add(grams.entry(name), input, context.token_weights());
                }
            }
        }
        Decision::diagonal(self.expert, context.down, context.up)
    }
}

/// Adds the products of the inputs of all tokens; `weights` are 1, or 0 for padding: `[batch, tokens, 1]`.
fn add(
    gram: std::collections::btree_map::Entry<'_, String, Gram>,
    input: Tensor<3>,
    weights: Tensor<3>,
) {
    let [batch, tokens, width] = input.dims();
    let rows: Tensor<2> = (input * weights).reshape([batch * tokens, width]);
    let products = rows.clone().transpose().matmul(rows);
    let data = products.into_data().convert::<f32>();
    let values: Vec<f32> = data.try_into_vec().expect("f32 values");
    gram.or_insert_with(|| Gram::zeros(width)).add(&values);
}
