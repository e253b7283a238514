//! GPT-2 against `transformers` (random weights) and against PyTorch's intermediate tensors of a trained
//! minGPT.

#[path = "shared/compare.rs"]
mod compare;
mod shared;

use std::collections::BTreeMap;

use adamix_core::parameter::{self, HostTensor};
use adamix_models::gpt2::{Cache, DecoderInput, Gpt2, Gpt2Config};
use adamix_models::hub::Weights;
use adamix_models::hub::write::{Precision, safetensors};
use adamix_models::pass::Pass;
use burn::tensor::activation::softmax;
use burn::tensor::module::embedding;
use burn::tensor::{Device, Tensor};
use compare::{distance, floats, ids, values};
use serde_json::Value;

fn tiny() -> Option<(Gpt2, Weights, Value)> {
    let folder = shared::folder("golden/hf/gpt2-tiny")?;
    let config = Gpt2Config::from_folder(&folder).unwrap();
    let weights = Weights::open(&folder).unwrap();
    let model = Gpt2::load(&config, &weights, &Device::flex()).unwrap();
    Some((model, weights, shared::json(&folder.join("golden.json"))))
}

fn prompts(golden: &Value) -> Vec<Vec<u32>> {
    let cases = golden["cases"].as_array().unwrap();
    cases.iter().map(|case| ids(&case["input_ids"])).collect()
}

fn input(model: &Gpt2, ids: &[u32]) -> DecoderInput {
    DecoderInput::new(model.config(), ids, ids.len(), &Device::flex()).unwrap()
}

#[test]
fn logits_and_loss_are_those_of_transformers() {
    let Some((model, weights, golden)) = tiny() else {
        return;
    };
    assert!(weights.unused().iter().all(|name| model.is_surplus(name)));
    for case in golden["cases"].as_array().unwrap() {
        let prompt = ids(&case["input_ids"]);
        let logits = model.forward(&input(&model, &prompt), &Pass::EVALUATION);
        let last = values(logits.clone().narrow(1, prompt.len() - 1, 1));
        let far = distance(&last, &floats(&case["logits_last"]));
        assert!(far < 1e-5, "logits differ by {far}");
        let vocabulary = model.config().vocab_size;
        let rows = values(logits);
        let nll: f64 = prompt[1..]
            .iter()
            .zip(rows.chunks(vocabulary))
            .map(|(token, row)| {
                let sum: f64 = row.iter().map(|v| f64::from(*v).exp()).sum();
                sum.ln() - f64::from(row[*token as usize])
            })
            .sum::<f64>()
            / (prompt.len() - 1) as f64;
        let expected = case["nll"].as_f64().unwrap();
        assert!((nll - expected).abs() < 1e-5, "{nll} {expected}");
    }
}

#[test]
fn weights_are_in_memory_as_in_the_file() {
    let Some((model, weights, _)) = tiny() else {
        return;
    };
    let tensors = parameter::export(&model, |_| true);
    let mut names: Vec<&str> = weights.names().collect();
    names.sort_unstable();
    assert_eq!(tensors.keys().collect::<Vec<_>>(), names);
    for (name, tensor) in tensors {
        let shape = weights.shape(&name).unwrap();
        assert_eq!(tensor.shape, shape, "{name}");
        assert_eq!(tensor.values, weights.read(&name, shape).unwrap(), "{name}");
    }
    assert_eq!(
        weights.shape("transformer.h.0.attn.c_attn.weight"),
        Some(&[48, 144][..])
    );
}

#[test]
fn bare_names_and_old_buffers_do_no_harm() {
    let Some((model, weights, golden)) = tiny() else {
        return;
    };
    let mut tensors = BTreeMap::new();
    for (name, tensor) in parameter::export(&model, |_| true) {
        tensors.insert(name["transformer.".len()..].to_owned(), tensor);
    }
    let buffer = |shape: Vec<usize>| HostTensor {
        values: vec![1.0; shape.iter().product()],
        shape,
    };
    tensors.insert("h.0.attn.bias".to_owned(), buffer(vec![1, 1, 4, 4]));
    tensors.insert("h.0.attn.masked_bias".to_owned(), buffer(vec![1]));
    drop(weights);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    safetensors(&path, &tensors, Precision::F32).unwrap();
    let weights = Weights::open(folder.path()).unwrap();
    let bare = Gpt2::load(model.config(), &weights, &Device::flex()).unwrap();
    let unused = weights.unused();
    assert!(
        unused.len() == 2 && unused.iter().all(|name| bare.is_surplus(name)),
        "{unused:?}"
    );
    let input = input(&model, &prompts(&golden)[0]);
    assert_eq!(
        values(model.forward(&input, &Pass::EVALUATION)),
        values(bare.forward(&input, &Pass::EVALUATION))
    );
}

#[test]
fn a_cache_and_left_padding_change_nothing() {
    let Some((model, _, golden)) = tiny() else {
        return;
    };
    let prompts = prompts(&golden);
    let (short, long) = (&prompts[0], &prompts[2]);
    let padded = |rows: &[&[u32]; 2]| {
        DecoderInput::left_padded(model.config(), rows, 0, &Device::flex()).unwrap()
    };
    let rows: [&[u32]; 2] = [long, short];
    let (before, after) = (padded(&[short, long]), padded(&rows));
    let mut cache = Cache::new();
    // Three tokens, then with the rows exchanged one, then the rest.
    let mut found = Tensor::<3>::empty([0, 0, 0], &Device::flex());
    let mut start = 0;
    for (padded, count) in [(&before, 3), (&after, 1), (&after, long.len() - 4)] {
        if start == 3 {
            cache.select(&[1, 0]);
        }
        let part = DecoderInput {
            ids: padded.ids.clone().narrow(1, start, count),
            positions: padded.positions.clone().narrow(1, start, count),
            mask: padded.mask.clone().map(|mask| mask.narrow(1, start, count)),
            counted: None,
        };
        found = model.logits(
            model
                .transformer
                .forward(&part, Some(&mut cache), &Pass::EVALUATION),
        );
        start += count;
    }
    assert_eq!(cache.tokens(), long.len());
    for (row, prompt) in rows.iter().enumerate() {
        let full = model.forward(&input(&model, prompt), &Pass::EVALUATION);
        let expected = values(full.narrow(1, prompt.len() - 1, 1));
        let last = found.dims()[1] - 1;
        let found = values(found.clone().narrow(0, row, 1).narrow(1, last, 1));
        let far = distance(&found, &expected);
        assert!(far < 1e-5, "row {row}: {far}");
    }
}

/// The bytes of standard base64 without line breaks.
fn base64(text: &str) -> Vec<u8> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for c in text.bytes().filter(|c| *c != b'=') {
        let six = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    bytes
}

fn decoded(value: &Value) -> HostTensor {
    let bytes = base64(value["data"].as_str().unwrap());
    let float = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    HostTensor {
        shape: ids(&value["shape"]).iter().map(|d| *d as usize).collect(),
        values: bytes.chunks_exact(4).map(float).collect(),
    }
}

/// The trained model, its maps turned from `[out, in]` to the layout of GPT-2's files.
fn nano_sort(folder: &std::path::Path) -> Gpt2 {
    let file = shared::json(&folder.join("gpt-nano-sort-model.json"));
    let size = |key: &str| file["config"][key].as_u64().unwrap() as usize;
    let mut config = Gpt2Config::new(
        size("vocab_size"),
        size("block_size"),
        size("n_embd"),
        size("n_layer"),
        size("n_head"),
    );
    config.tie_word_embeddings = false;
    let mut tensors = BTreeMap::new();
    for (name, value) in file.as_object().unwrap() {
        if name == "config" {
            continue;
        }
        let mut tensor = decoded(value);
        if name.contains(".c_") && name.ends_with(".weight") {
            let (rows, columns) = (tensor.shape[0], tensor.shape[1]);
            let values = &tensor.values;
            tensor.values = (0..rows * columns)
                .map(|i| values[(i % rows) * columns + i / rows])
                .collect();
            tensor.shape.reverse();
        }
        tensors.insert(name.clone(), tensor);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    safetensors(&path, &tensors, Precision::F32).unwrap();
    let weights = Weights::open(folder.path()).unwrap();
    let model = Gpt2::load(&config, &weights, &Device::flex()).unwrap();
    assert!(weights.unused().iter().all(|name| model.is_surplus(name)));
    model
}

#[test]
fn a_trained_model_has_pytorchs_intermediate_tensors() {
    let Some(folder) = shared::folder("models/gpt-nano-sort") else {
        return;
    };
    let model = nano_sort(&folder);
    let partials = shared::json(&folder.join("gpt-nano-sort-t0-partials.json"));
    let mut checked = Vec::new();
    let mut check = |name: &'static str, found: Vec<f32>| {
        let expected = decoded(&partials[name]);
        assert_eq!(found.len(), expected.values.len(), "{name}");
        for (f, e) in found.iter().zip(&expected.values) {
            assert!(
                (f - e).abs() < 1e-5 * e.abs().max(1.0),
                "{name}: {f} instead of {e}"
            );
        }
        checked.push(name);
    };
    let idx = decoded(&partials["idx"]);
    let tokens = idx.shape[1];
    let idx: Vec<u32> = idx.values.iter().map(|v| *v as u32).collect();
    let input = DecoderInput::new(model.config(), &idx, tokens, &Device::flex()).unwrap();
    let pass = Pass::EVALUATION;

    let decoder = &model.transformer;
    let words = embedding(decoder.wte.weight.val(), input.ids.clone());
    let positions = embedding(decoder.wpe.weight.val(), input.positions.clone());
    check("tok_emb", values(words.clone()));
    check("pos_emb", values(positions.clone().narrow(0, 0, 1)));
    let x = words + positions;
    check("x", values(x.clone()));
    let block = &decoder.h[0];
    let normed = block.ln_1.forward(x.clone());
    check("ln1", values(normed.clone()));
    let [q, k, v] = block.attn.c_attn.forward(normed.clone(), &pass, "");
    check("q", values(q.clone()));
    check("k", values(k.clone()));
    check("v", values(v.clone()));
    let y = adamix_kernels::attention_causal(q, k, v, None, None);
    let y = y.swap_dims(1, 2).reshape(x.dims());
    check("y", values(y.clone()));
    let y = block.attn.c_proj.forward(y, &pass, "");
    check("yProj", values(y.clone()));
    check(
        "yProj",
        values(block.attn.forward(normed, None, None, None, &pass, "")),
    );
    let x = x + y;
    check("attnResid", values(x.clone()));
    let normed = block.ln_2.forward(x.clone());
    check("ln2", values(normed.clone()));
    let inner = block.mlp.c_fc.forward(normed.clone(), &pass, "");
    check("fc", values(inner.clone()));
    let inner = adamix_kernels::gelu_tanh(inner);
    check("gelu", values(inner.clone()));
    check("mlp", values(block.mlp.c_proj.forward(inner, &pass, "")));
    let y = block.mlp.forward(normed, &pass, "");
    let mut x = x + y;
    check("mlpResid", values(x.clone()));
    check("block0", values(x.clone()));
    for (name, block) in ["block1", "block2"].into_iter().zip(&decoder.h[1..]) {
        x = block.forward(x, None, None, &pass, "");
        check(name, values(x.clone()));
    }
    let hidden = decoder.ln_f.forward(x);
    check("ln_f", values(hidden.clone()));
    let logits = model.forward(&input, &pass);
    check("lm_head", values(model.logits(hidden)));
    check("lm_head", values(logits.clone()));
    check("probs", values(softmax(logits, 2)));
    println!("{} tensors agree: {checked:?}", checked.len());
}
