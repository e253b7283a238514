//! Whole pretrainings, as small as can be.

use std::collections::BTreeSet;
use std::path::PathBuf;

use adamix_data::synthetic;
use adamix_models::encoder::EncoderConfig;
use adamix_models::gpt2::Gpt2Config;
use adamix_models::hub::Source;
use burn::tensor::Device;

use super::*;

fn quiet() -> Sitting {
    Sitting::quiet("flex")
}

/// Sentences of the project's own grammar.
pub(super) fn text(sentences: usize) -> Vec<String> {
    let examples = synthetic::generate(Key::new(5), sentences);
    examples.into_iter().map(|e| e.first).collect()
}

/// Six steps of an encoder of a few thousand parameters.
pub(super) fn tiny(corpus: &Path) -> PretrainConfig {
    PretrainConfig {
        seed: 1,
        objective: Objective::Masked,
        corpus: CorpusConfig {
            paths: vec![corpus.to_str().unwrap().to_owned()],
            held_out_rows: 4,
            held_out_file: None,
        },
        model: Some(ModelConfig {
            vocab_size: 300,
            hidden_size: 16,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            intermediate_size: 32,
            initializer_range: 0.05,
            positions: None,
        }),
        base: None,
        masking: Some(Masking::BERT),
        training: TrainingConfig {
            steps: 6,
            batch_size: 4,
            tokens: 16,
            learning_rate: 5e-3,
            warmup_steps: 1,
            cooldown_steps: 4,
            weight_decay: 0.01,
            beta2: 0.98,
            max_grad_norm: 1.0,
            checkpoint_steps: 2,
        },
    }
}

/// The same of a decoder, which can read twice what it was trained on.
pub(super) fn tiny_causal(corpus: &Path) -> PretrainConfig {
    let mut config = tiny(corpus);
    config.objective = Objective::Causal;
    config.masking = None;
    let model = config.model.as_mut().unwrap();
    model.positions = Some(32);
    config
}

fn corpus(folder: &Path) -> PathBuf {
    let corpus = folder.join("corpus");
    std::fs::create_dir(&corpus).unwrap();
    let text = text(60);
    std::fs::write(corpus.join("a.md"), text[..40].join("\n\n")).unwrap();
    std::fs::write(corpus.join("b.md"), text[40..].join("\n\n")).unwrap();
    corpus
}

/// Trains for a while and gives the record. The loss on held-out rows must fall, if by little: training
/// starts near that of frequencies alone.
fn learn(config: &mut PretrainConfig, folder: &Path, drop: f64) -> (PathBuf, Record) {
    let further = folder.join("further.txt");
    std::fs::write(&further, text(20).join("\n\n")).unwrap();
    config.corpus.held_out_file = Some(further.to_str().unwrap().to_owned());
    config.corpus.held_out_rows = 16;
    config.training.steps = 100;
    config.training.cooldown_steps = 90;
    config.training.checkpoint_steps = 10;
    let out = folder.join("out");
    let record = run(config, &out, &quiet()).unwrap();
    assert_eq!(record.held_out.len(), 2);
    let (first, last) = (&record.curve[0], record.curve.last().unwrap());
    assert!(
        last.held_out_loss < first.held_out_loss - drop,
        "it learns: {:?}",
        record.curve
    );
    assert!(
        (record.held_out[0].loss - last.held_out_loss).abs() < 0.01,
        "16 bits are enough"
    );
    (out, record)
}

#[test]
fn a_finished_run_is_a_model_folder_and_is_not_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny(&corpus(folder.path()));
    let (out, record) = learn(&mut config, folder.path(), 0.04);
    assert!(record.held_out[0].perplexity < record.held_out[0].unigram_perplexity);

    let encoder = EncoderConfig::from_folder(&out).unwrap();
    assert_eq!((encoder.vocab_size, encoder.max_length()), (300, 16));
    let weights = Weights::open(&out).unwrap();
    MaskedLm::load(&encoder, &weights, &Device::flex()).unwrap();
    assert_eq!(weights.unused(), Vec::<String>::new());
    assert!(weights.contains("roberta.encoder.layer.1.output.LayerNorm.weight"));
    assert!(weights.contains("lm_head.layer_norm.bias"));

    assert_eq!(run(&config, &out, &quiet()).unwrap(), record);
    config.seed = 2;
    let error = run(&config, &out, &quiet()).unwrap_err().to_string();
    assert!(error.contains("another pretraining"), "{error}");
}

#[test]
fn a_causal_run_is_a_gpt2_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny_causal(&corpus(folder.path()));
    let (out, record) = learn(&mut config, folder.path(), 0.04);
    assert!(record.held_out[0].perplexity < record.held_out[0].unigram_perplexity);

    let decoder = Gpt2Config::from_folder(&out).unwrap();
    assert_eq!((decoder.vocab_size, decoder.n_positions), (300, 32));
    assert_eq!(decoder.end_ids(), [0]);
    let weights = Weights::open(&out).unwrap();
    let model = Gpt2::load(&decoder, &weights, &Device::flex()).unwrap();
    assert_eq!(weights.unused(), Vec::<String>::new());
    let counted: usize = parameter::parameters(&model)
        .iter()
        .map(parameter::ParameterInfo::count)
        .sum();
    assert_eq!(counted, record.parameters);
    // Every token but a row's first is predicted.
    assert_eq!(record.held_out[0].places, 16 * 15);
}

/// A head on a frozen encoder: the encoder stays to the bit, and the folder holds all of it.
#[test]
fn a_head_is_trained_on_a_frozen_base() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny(&corpus(folder.path()));
    let base = folder.path().join("base");
    run(&config, &base, &quiet()).unwrap();
    config.model = None;
    config.base = Some(BaseConfig {
        folder: base.to_str().unwrap().to_owned(),
        trained: Trained::Head,
    });
    config.training.steps = 20;
    let out = folder.path().join("out");
    let record = run(&config, &out, &quiet()).unwrap();
    assert_eq!(record.parameters, 16 * 16 + 3 * 16 + 300);
    let (before, after) = (Weights::open(&base).unwrap(), Weights::open(&out).unwrap());
    assert_eq!(
        before.names().collect::<Vec<_>>(),
        after.names().collect::<Vec<_>>()
    );
    for name in before.names() {
        let shape = before.shape(name).unwrap();
        let same = before.read(name, shape).unwrap() == after.read(name, shape).unwrap();
        assert_eq!(same, !name.starts_with("lm_head."), "{name}");
    }
    // Of its weights and configuration, and of its tokenizer.
    assert_eq!(record.base_hash.unwrap().len(), 64 + 1 + 64);
}

/// A BERT encoder under bare names and without a head, as sentence encoders are published.
fn bare_bert(folder: &Path) {
    let words: BTreeSet<String> = text(60)
        .iter()
        .flat_map(|line| line.split_whitespace())
        .map(str::to_lowercase)
        .collect();
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned);
    let vocabulary: Vec<String> = special.into_iter().chain(words).collect();
    std::fs::create_dir(folder).unwrap();
    std::fs::write(folder.join("vocab.txt"), vocabulary.join("\n")).unwrap();
    let config = serde_json::json!({
        "model_type": "bert", "vocab_size": vocabulary.len(), "hidden_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 20,
    });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let config = EncoderConfig::from_folder(folder).unwrap();
    let model = MaskedLm::build(&config, &Source::random(Key::new(3), &Device::flex())).unwrap();
    let tensors = parameter::export(&model, |info| info.name.starts_with("bert."));
    let tensors = tensors
        .into_iter()
        .map(|(name, tensor)| (name["bert.".len()..].to_owned(), tensor))
        .collect();
    let path = folder.join("model.safetensors");
    write::safetensors(&path, &tensors, write::Precision::F32).unwrap();
}

#[test]
fn an_encoder_without_a_head_gets_one_under_its_familys_names() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny(&corpus(folder.path()));
    let base = folder.path().join("base");
    bare_bert(&base);
    config.model = None;
    config.base = Some(BaseConfig {
        folder: base.to_str().unwrap().to_owned(),
        trained: Trained::Head,
    });
    let out = folder.path().join("out");
    let record = run(&config, &out, &quiet()).unwrap();
    assert_eq!(record.parameters, 16 * 16 + 3 * 16 + vocabulary_size(&out));
    let weights = Weights::open(&out).unwrap();
    for name in ["transform.dense.weight", "transform.LayerNorm.bias", "bias"] {
        assert!(
            weights.contains(&format!("cls.predictions.{name}")),
            "{name}"
        );
    }
    let word = "embeddings.word_embeddings.weight";
    let shape = weights.shape(&format!("bert.{word}")).unwrap().to_vec();
    let before = Weights::open(&base).unwrap().read(word, &shape).unwrap();
    assert_eq!(
        weights.read(&format!("bert.{word}"), &shape).unwrap(),
        before
    );
    let written = std::fs::read_to_string(out.join("config.json")).unwrap();
    assert!(written.contains("BertForMaskedLM"), "{written}");
}

fn vocabulary_size(folder: &Path) -> usize {
    EncoderConfig::from_folder(folder).unwrap().vocab_size
}

/// A vocabulary of the corpus that `text` makes.
pub fn vocabulary(objective: Objective) -> Vocabulary {
    let folder = tempfile::tempdir().unwrap();
    tokenizer::train(folder.path(), objective, &text(40), 300, 16).unwrap();
    Vocabulary::open(folder.path(), objective).unwrap()
}
