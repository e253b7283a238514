//! What a masked language model says at the masks of a text.

use adamix_data::{Encoding, Example, collate, plan_evaluation};
use adamix_models::encoder::{EncoderInput, MaskedLm};
use adamix_models::pass::Pass;
use anyhow::{Context, Result};
use burn::tensor::{Device, Int, Tensor};
use serde_json::{Value, json};

use crate::recipe::Base;

/// Vocabulary logits at the mask tokens of each row.
pub fn masked(
    base: &Base,
    examples: &[Example],
    encodings: &[Encoding],
    device: &Device,
) -> Result<Vec<Value>> {
    let mask = base
        .tokenizer
        .mask_id
        .context("the tokenizer has no mask token")?;
    let model = MaskedLm::load(&base.config, &base.weights, device)?;
    let lengths: Vec<u32> = encodings.iter().map(|e| e.len() as u32).collect();
    let mut lines = vec![Value::Null; examples.len()];
    for indices in plan_evaluation(&lengths, 1) {
        let index = indices[0] as usize;
        let (example, encoding) = (&examples[index], &encodings[index]);
        let batch = collate(&[(example.id, encoding)], base.tokenizer.pad_id, None);
        let input = EncoderInput::new(
            &base.config,
            &batch.ids,
            &batch.type_ids,
            &batch.mask,
            batch.seq,
            device,
        );
        let places: Vec<i32> = (0..batch.seq as i32)
            .filter(|i| batch.ids[*i as usize] == mask as i32)
            .collect();
        let logits: Vec<Vec<f32>> = if places.is_empty() {
            Vec::new()
        } else {
            let found = model.forward(
                &input,
                Tensor::<1, Int>::from_data(places.as_slice(), device),
                &Pass::EVALUATION,
            );
            let values: Vec<f32> = found.into_data().try_into_vec().expect("f32 logits");
            values
                .chunks(base.config.vocab_size)
                .map(<[f32]>::to_vec)
                .collect()
        };
        let best: Vec<Option<String>> = logits
            .iter()
            .map(|l| base.tokenizer.id_to_token(crate::recipe::argmax(l)))
            .collect();
        lines[index] = json!({
            "row": example.id, "input_ids": encoding.ids, "mask_positions": places, "logits": logits, "label": best,
        });
    }
    Ok(lines)
}
