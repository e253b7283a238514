//! Beam search with the cache, timed: both forms, on a model folder and prompts in a JSON file (a list of lists
//! of token ids). Prints JSON; `tools/beam_speed.py` runs it beside `transformers`.
//!
//! `cargo run --release --workspace --example beam_speed -- FOLDER PROMPTS.json [beams] [new tokens]`

use std::path::Path;
use std::time::Instant;

use adamix_models::gpt2::generate::{
    EarlyStopping, GenerateError, HuggingFaceBeam, Hypothesis, ReleasedBeam,
};
use adamix_models::gpt2::{Gpt2, Gpt2Config};
use adamix_models::hub::Weights;
use burn::module::Module;
use burn::tensor::Device;
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, prompts, numbers @ ..] = &arguments[..] else {
        return Err("arguments: FOLDER PROMPTS.json [beams] [new tokens]".into());
    };
    let number = |i: usize, default: usize| numbers.get(i).map_or(Ok(default), |text| text.parse());
    let (beams, new_tokens) = (number(0, 10)?, number(1, 64)?);
    adamix_kernels::tune_allocator();
    let folder = Path::new(folder);
    let config = Gpt2Config::from_folder(folder)?;
    let model = Gpt2::load(&config, &Weights::open(folder)?, &Device::flex())?.no_grad();
    let prompts: Vec<Vec<u32>> = serde_json::from_slice(&std::fs::read(prompts)?)?;
    let rows: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    // No end token, so that both searches run to the limit.
    let released = ReleasedBeam {
        beams,
        length_penalty: 0.8,
        no_repeat_ngram: 4,
        new_tokens,
        end: Vec::new(),
    };
    let hugging_face = HuggingFaceBeam {
        beams,
        length_penalty: 0.8,
        no_repeat_ngram: 4,
        new_tokens,
        end: Vec::new(),
        early_stopping: EarlyStopping::Heuristic,
    };
    // Once unmeasured.
    hugging_face.search(&model, &[&rows[0][..1]])?;
    let time = |search: &dyn Fn() -> Result<Vec<Hypothesis>, GenerateError>| {
        let start = Instant::now();
        let found = search()?;
        let tokens: Vec<_> = found.into_iter().map(|h| h.tokens).collect();
        Ok::<_, GenerateError>(json!({"seconds": start.elapsed().as_secs_f64(), "tokens": tokens}))
    };
    let report = json!({
        "huggingface": time(&|| hugging_face.search(&model, &rows))?,
        "released": time(&|| released.search(&model, &rows))?,
    });
    println!("{report}");
    Ok(())
}
