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
    let counts = candidates.mixture.held().into_iter();
    let counts: BTreeMap<String, (usize, usize)> = counts
        .map(|held| (held.module, held.adaptation.counts()))
        .collect();
    let mut grams = BTreeMap::new();
    for (expert, model) in candidates.experts.iter().enumerate() {
        // The expert alone, with all else that it was trained with.
        let model = model.valid();
        let reader = Reader {
            expert,
            held: model.held(),
            counts: &counts,
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

/// Notes what the projections of one expert read, which the model has alone.
#[derive(Debug)]
struct Reader<'a> {
    expert: usize,
    held: Vec<Held>,
    /// How many experts the sides of each module have in the mixture.
    counts: &'a BTreeMap<String, (usize, usize)>,
    grams: Mutex<BTreeMap<String, Gram>>,
}

impl RoutingPolicy for Reader<'_> {
    fn name(&self) -> &str {
        "reader"
    }

    fn decide(&self, context: &RoutingContext<'_>) -> Decision {
        let mut grams = self.grams.lock().unwrap_or_else(PoisonError::into_inner);
        for held in self.held.iter().filter(|held| held.site == context.site) {
            let Some(x) = context.input else { continue };
            let Some(inputs) = held.adaptation.inputs(x.clone(), context.mask, 0) else {
                continue;
            };
            let (down, up) = self.counts[&held.module];
            for (input, (bank, experts)) in inputs.into_iter().zip([("down", down), ("up", up)]) {
                // A side with one projection is not merged.
                if experts > 1 {
                    let name = format!("{}.{bank}.{}", held.module, self.expert);
                    add(grams.entry(name), input, context.token_weights());
                }
            }
        }
        Decision::SINGLE
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
