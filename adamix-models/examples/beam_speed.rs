//! Tokens per second of beam search with the cache, on random weights of a published size.
//!
//! `cargo run --release --example beam_speed -- [gpt2] [prompts] [beams] [prompt tokens] [new tokens]`

use std::time::Instant;

use adamix_keys::Key;
use adamix_models::gpt2::generate::{EarlyStopping, HuggingFaceBeam, ReleasedBeam};
use adamix_models::gpt2::{Gpt2, Gpt2Config};
use adamix_models::hub::Source;
use burn::module::Module;
use burn::tensor::Device;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map_or("gpt2", String::as_str);
    let number = |i: usize, default: usize| match arguments.get(i) {
        Some(text) => text.parse(),
        None => Ok(default),
    };
    let (prompts, beams) = (number(1, 1)?, number(2, 10)?);
    let (prompt_tokens, new_tokens) = (number(3, 40)?, number(4, 64)?);
    adamix_kernels::tune_allocator();
    let config = Gpt2Config::named(name).ok_or("the sizes are gpt2, gpt2-medium, …")?;
    let model = Gpt2::build(&config, &Source::random(Key::new(1), &Device::flex()))?.no_grad();
    let key = Key::new(2);
    let token = |row: usize, t: usize| key.fold(row as u64).fold(t as u64).below(50_000) as u32;
    let prompts: Vec<Vec<u32>> = (0..prompts)
        .map(|row| (0..prompt_tokens).map(|t| token(row, t)).collect())
        .collect();
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
    let report = |form: &str, seconds: f64| {
        let tokens = (rows.len() * new_tokens) as f64;
        println!(
            "{name} {form}: {seconds:.2} s, {:.1} tokens/s",
            tokens / seconds
        );
    };
    for _ in 0..2 {
        let start = Instant::now();
        released.search(&model, &rows)?;
        report("released", start.elapsed().as_secs_f64());
        let start = Instant::now();
        hugging_face.search(&model, &rows)?;
        report("huggingface", start.elapsed().as_secs_f64());
    }
    Ok(())
}
