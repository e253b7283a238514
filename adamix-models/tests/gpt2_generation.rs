//! Decoding against the released code's beam search and against `transformers`.

mod shared;

use std::path::{Path, PathBuf};

use adamix_core::parameter;
use adamix_keys::Key;
use adamix_models::gpt2::generate::{
    EarlyStopping, GenerateError, Greedy, HuggingFaceBeam, ReleasedBeam, Sample, once_each,
};
use adamix_models::gpt2::{Gpt2, Gpt2Config};
use adamix_models::hub::{Source, Weights};
use burn::tensor::Device;
use serde_json::Value;

fn model(folder: &Path) -> Gpt2 {
    let config = Gpt2Config::from_folder(folder).unwrap();
    Gpt2::load(&config, &Weights::open(folder).unwrap(), &Device::flex()).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    let numbers = shared::numbers(value);
    numbers.into_iter().map(|v| v as u32).collect()
}

fn number(case: &Value, key: &str) -> usize {
    case[key]
        .as_u64()
        .unwrap_or_else(|| panic!("{key} of {case}")) as usize
}

#[test]
fn the_released_beam_search_finds_the_same_tokens() {
    let Some(released) = shared::folder("golden/released") else {
        return;
    };
    let is_beam = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("gpt2-beam") && name.ends_with(".json")
    };
    let files = released.read_dir().unwrap().map(|e| e.unwrap().path());
    let files: Vec<PathBuf> = files.filter(is_beam).collect();
    assert!(!files.is_empty());
    for file in files {
        released_beams(&file);
    }
}

/// All cases of a file of the released code's searches.
fn released_beams(path: &Path) {
    let golden = shared::json(path);
    let folder = golden["model"].as_str().unwrap();
    let model = model(&path.parent().unwrap().join(folder));
    let cases = golden["cases"].as_array().unwrap();
    for case in cases {
        let beam = ReleasedBeam {
            beams: number(case, "beam"),
            length_penalty: case["length_penalty"].as_f64().unwrap(),
            no_repeat_ngram: number(case, "no_repeat_ngram"),
            new_tokens: number(case, "eval_len"),
            end: ids(&case["eos"]),
        };
        let prompt = ids(&case["prompt"]);
        let mut tokens = beam.search(&model, &[&prompt]).unwrap().remove(0).tokens;
        tokens.resize(beam.new_tokens, 0);
        assert_eq!(tokens, ids(&case["predict"]), "{beam:?} after {prompt:?}");
    }
    println!("{} searches agree", cases.len());
    assert!(!cases.is_empty());
}

#[test]
fn greedy_and_beams_are_those_of_transformers() {
    let Some(folder) = shared::folder("golden/hf/gpt2-tiny") else {
        return;
    };
    let model = model(&folder);
    let golden = shared::json(&folder.join("golden.json"));
    let cases = golden["cases"].as_array().unwrap();
    let prompts: Vec<Vec<u32>> = cases.iter().map(|case| ids(&case["input_ids"])).collect();
    let rows: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    let end = model.config().end_ids();
    let greedy = Greedy {
        new_tokens: 16,
        end: end.clone(),
    };
    let beam = HuggingFaceBeam {
        beams: 4,
        length_penalty: 0.8,
        no_repeat_ngram: 4,
        new_tokens: 16,
        end,
        early_stopping: EarlyStopping::Heuristic,
    };
    let greedy = greedy.search(&model, &rows).unwrap();
    let beam = beam.search(&model, &rows).unwrap();
    for (i, (case, prompt)) in cases.iter().zip(&prompts).enumerate() {
        let whole = |new: &[u32]| [prompt, new].concat();
        assert_eq!(whole(&greedy[i].tokens), ids(&case["greedy"]), "greedy");
        let expected = ids(&case["hf_beam4_lp0.8_nrn4"]);
        assert_eq!(whole(&beam[i].tokens), expected, "beam");
    }
}

#[test]
fn samples_depend_on_the_example_not_on_the_batch() {
    let Some(folder) = shared::folder("golden/hf/gpt2-tiny") else {
        return;
    };
    let model = model(&folder);
    let sample = Sample {
        temperature: 0.9,
        top_k: Some(50),
        top_p: 0.95,
        new_tokens: 12,
        end: vec![2],
    };
    let prompts: [&[u32]; 3] = [&[317, 867], &[55, 262, 787, 292], &[317, 867]];
    let draw = |prompts: &[&[u32]], examples: &[u64]| {
        sample
            .search(&model, prompts, examples, Key::new(3))
            .unwrap()
    };
    let together = draw(&prompts, &[7, 8, 9]);
    assert_ne!(together[0].tokens, together[2].tokens);
    assert_eq!(draw(&prompts[1..2], &[8])[0].tokens, together[1].tokens);
    assert_eq!(draw(&prompts[..1], &[9])[0].tokens, together[2].tokens);
}

#[test]
fn repeated_prompts_get_the_same_answer_from_one_search() {
    let Some(folder) = shared::folder("golden/hf/gpt2-tiny") else {
        return;
    };
    let model = model(&folder);
    let greedy = Greedy {
        new_tokens: 5,
        end: Vec::new(),
    };
    let prompts = [vec![317, 867], vec![55], vec![317, 867]];
    let mut searched = 0;
    let found = once_each(&prompts, 8, |group| {
        searched += group.len();
        greedy.search(&model, group)
    })
    .unwrap();
    assert_eq!((searched, found.len()), (2, 3));
    assert_eq!(found[0], found[2]);
}

/// Recorded from `transformers` 5.23 on `gpt2-tiny`: end tokens that are hit, every kind of early stopping,
/// length penalties of either sign. The prompts of a setting are searched as one batch.
#[test]
fn recorded_beam_searches_of_transformers_agree() {
    let Some(folder) = shared::folder("golden/hf/gpt2-tiny") else {
        return;
    };
    let model = model(&folder);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/gpt2_beams.json");
    let recorded = shared::json(&path);
    for cases in recorded.as_array().unwrap().chunks(3) {
        let case = &cases[0];
        let beam = HuggingFaceBeam {
            beams: number(case, "beams"),
            length_penalty: case["length_penalty"].as_f64().unwrap(),
            no_repeat_ngram: number(case, "no_repeat_ngram"),
            new_tokens: number(case, "new_tokens"),
            end: ids(&case["end"]),
            early_stopping: match &case["early_stopping"] {
                Value::Bool(true) => EarlyStopping::Full,
                Value::Bool(false) => EarlyStopping::Heuristic,
                _ => EarlyStopping::Never,
            },
        };
        let prompts: Vec<Vec<u32>> = cases.iter().map(|case| ids(&case["prompt"])).collect();
        let rows: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        let found = beam.search(&model, &rows).unwrap();
        for (case, found) in cases.iter().zip(found) {
            assert_eq!(found.tokens, ids(&case["tokens"]), "{case}");
            let score = case["score"].as_f64().unwrap();
            let far = (f64::from(found.score) - score).abs();
            assert!(
                far < 1e-4 * score.abs().max(1.0),
                "{} in {case}",
                found.score
            );
        }
    }
}

#[test]
fn a_weight_that_is_no_number_ends_every_search() {
    let source = Source::random(Key::new(1), &Device::flex());
    let sound = Gpt2::build(&Gpt2Config::new(40, 64, 16, 2, 2), &source).unwrap();
    // In the first all logits are no numbers; in the second that of one token, which no prompt has.
    for name in ["transformer.ln_f.bias", "transformer.wte.weight"] {
        let mut values = parameter::export(&sound, |info| info.name == name);
        values.get_mut(name).unwrap().values[0] = f32::NAN;
        let model = parameter::assign(sound.clone(), values).unwrap();
        let prompts: [&[u32]; 2] = [&[1, 2], &[3, 4]];
        let (new_tokens, end) = (4, Vec::new());
        let greedy = Greedy {
            new_tokens,
            end: end.clone(),
        };
        let sample = Sample {
            temperature: 1.0,
            top_k: Some(5),
            top_p: 0.9,
            new_tokens,
            end: end.clone(),
        };
        let released = ReleasedBeam {
            beams: 2,
            length_penalty: 0.8,
            no_repeat_ngram: 4,
            new_tokens,
            end: end.clone(),
        };
        let hugging_face = HuggingFaceBeam {
            beams: 2,
            length_penalty: 0.8,
            no_repeat_ngram: 4,
            new_tokens,
            end,
            early_stopping: EarlyStopping::Heuristic,
        };
        for found in [
            greedy.search(&model, &prompts),
            sample.search(&model, &prompts, &[0, 1], Key::new(2)),
            released.search(&model, &prompts),
            hugging_face.search(&model, &prompts),
        ] {
            let is_told = matches!(found, Err(GenerateError::NotFinite { .. }));
            assert!(is_told, "{name}: {found:?}");
        }
    }
}
