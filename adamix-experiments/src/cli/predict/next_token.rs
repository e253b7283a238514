//! What a decoder says of the token after a text.

use std::path::PathBuf;

use adamix_data::Example;
use adamix_models::gpt2::DecoderInput;
use adamix_models::pass::Pass;
use anyhow::{Context, Result};
use burn::tensor::Device;
use serde_json::{Value, json};

use crate::recipe::Mode;
use crate::recipe::generation::DecoderBase;

/// Vocabulary logits after the first text of each row, for each adapter on the one base.
pub fn next_token(
    base: &DecoderBase,
    adapters: &[PathBuf],
    lora_alpha: Option<f64>,
    mode: &Mode<'_>,
    examples: &[Example],
    device: &Device,
) -> Result<Vec<Value>> {
    let texts: Vec<String> = examples.iter().map(|e| e.first.clone()).collect();
    let ids = base.tokenizer.encode_plain(&texts)?;
    let mut lines = Vec::new();
    let plain = adapters.is_empty().then_some(None);
    for adapter in adapters.iter().map(Some).chain(plain) {
        let model = match adapter {
            None => base.plain(device)?,
            Some(path) => base.with(&base.stored(path, lora_alpha)?, device)?,
        };
        let model = mode.ready(&model)?;
        let paths = mode.paths(&model);
        let room = model.for_texts();
        for (example, ids) in examples.iter().zip(&ids) {
            let refused = || format!("row {}", example.id);
            let tokens = ids.len().max(1);
            let input = DecoderInput::new(&room, ids, tokens, device).with_context(refused)?;
            let last =
                (ids.len().checked_sub(1)).with_context(|| format!("row {}: empty", example.id))?;
            let row = [example.id];
            let logits = paths.iter().map(|path| {
                let routed = path.pass(&row);
                model.logits_at(&input, &[last as i32], &Pass::routed(&routed))
            });
            let logits: Vec<f32> = mode
                .inference
                .combined(logits.collect())
                .into_data()
                .convert::<f32>()
                .try_into_vec()
                .expect("f32 logits");
            let best = base.tokenizer.id_to_token(crate::recipe::argmax(&logits));
            let mut line =
                json!({"row": example.id, "input_ids": ids, "logits": logits, "label": best});
            if let (Some(adapter), true) = (adapter, adapters.len() > 1) {
                line["adapter"] = json!(adapter);
            }
            lines.push(line);
        }
    }
    Ok(lines)
}
