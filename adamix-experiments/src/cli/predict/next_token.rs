//! What a decoder says of the token after a text.

use std::path::{Path, PathBuf};

use adamix_core::merging::Uniform;
use adamix_data::{Example, Tokenizer};
use adamix_models::gpt2::{DecoderInput, Gpt2, Gpt2Config};
use adamix_models::hub::{Layout, StoredAdapter, Weights};
use adamix_models::pass::Pass;
use adamix_models::site::Adaptable;
use anyhow::{Context, Result};
use burn::tensor::Device;
use serde_json::{Value, json};

/// Vocabulary logits after the first text of each row, for each adapter on the one base.
pub fn next_token(
    folder: &Path,
    adapters: &[PathBuf],
    lora_alpha: Option<f64>,
    examples: &[Example],
    device: &Device,
) -> Result<Vec<Value>> {
    let config = Gpt2Config::from_folder(folder)?;
    let weights = Weights::open(folder)?;
    let tokenizer = Tokenizer::from_folder(folder)?;
    let plain = Gpt2::load(&config, &weights, device)?;
    let texts: Vec<String> = examples.iter().map(|e| e.first.clone()).collect();
    let ids = tokenizer.encode_plain(&texts)?;
    let mut lines = Vec::new();
    for adapter in adapters
        .iter()
        .map(Some)
        .chain(adapters.is_empty().then_some(None))
    {
        let model = match adapter {
            None => plain.clone(),
            Some(path) => {
                let stored = StoredAdapter::open(path, "transformer", lora_alpha)?;
                stored
                    .onto(plain.clone(), Layout::InOut, device)?
                    .merged(&Uniform {})?
            }
        };
        for (example, ids) in examples.iter().zip(&ids) {
            let refused = || format!("row {}", example.id);
            let input =
                DecoderInput::new(&config, ids, ids.len().max(1), device).with_context(refused)?;
            let last = ids
                .len()
                .checked_sub(1)
                .with_context(|| format!("row {}: empty", example.id))?;
            let logits = model.logits_at(&input, &[last as i32], &Pass::EVALUATION);
            let logits: Vec<f32> = logits
                .into_data()
                .convert::<f32>()
                .try_into_vec()
                .expect("f32 logits");
            let best = tokenizer.id_to_token(crate::recipe::argmax(&logits));
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
