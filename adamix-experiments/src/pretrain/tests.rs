//! A whole pretraining, as small as can be.

use std::panic::{AssertUnwindSafe, catch_unwind};

use adamix_data::synthetic;

use super::*;

/// Sentences of the project's own grammar.
pub(super) fn text(sentences: usize) -> Vec<String> {
    let examples = synthetic::generate(Key::new(5), sentences);
    examples.into_iter().map(|e| e.first).collect()
}

/// Six steps of a model of a few thousand parameters.
pub(super) fn tiny(corpus: &Path) -> PretrainConfig {
    PretrainConfig {
        seed: 1,
        corpus: CorpusConfig {
            paths: vec![corpus.to_str().unwrap().to_owned()],
            held_out_rows: 4,
            held_out_file: None,
        },
        model: ModelConfig {
            vocab_size: 300,
            hidden_size: 16,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            intermediate_size: 32,
            initializer_range: 0.05,
        },
        masking: Masking {
            rate: 0.15,
            masked: 0.8,
            random: 0.1,
        },
        training: TrainingConfig {
            steps: 6,
            batch_size: 4,
            tokens: 16,
            learning_rate: 5e-3,
            warmup_ratio: 0.2,
            weight_decay: 0.01,
            beta2: 0.98,
            max_grad_norm: 1.0,
            checkpoint_steps: 2,
        },
    }
}

fn corpus(folder: &Path) -> PathBuf {
    let corpus = folder.join("corpus");
    std::fs::create_dir(&corpus).unwrap();
    std::fs::write(corpus.join("a.md"), text(60).join("\n\n")).unwrap();
    corpus
}

/// The model's bytes and the record without its clock.
fn outcome(out: &Path) -> (Vec<u8>, Vec<u8>, Record) {
    let file = |name: &str| std::fs::read(out.join(name)).unwrap();
    let mut record = Record::read(out).unwrap().unwrap();
    record.seconds = 0.0;
    (file("model.safetensors"), file("tokenizer.json"), record)
}

#[test]
fn a_stopped_run_goes_on_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let config = tiny(&corpus(folder.path()));
    let whole = folder.path().join("whole");
    run(&config, &whole, &mut |_| {}).unwrap();

    // Killed after step 3, so that one step since the checkpoint is lost; then killed once more.
    let parts = folder.path().join("parts");
    for last in [3, 5] {
        let mut kill = |progress: Progress| {
            if matches!(progress, Progress::Step { step, .. } if step == last) {
                std::panic::panic_any("killed");
            }
        };
        catch_unwind(AssertUnwindSafe(|| run(&config, &parts, &mut kill))).unwrap_err();
        assert!(Record::read(&parts).unwrap().is_none());
    }
    let mut steps = Vec::new();
    let mut collect = |progress: Progress| {
        if let Progress::Step { step, .. } = progress {
            steps.push(step);
        }
    };
    run(&config, &parts, &mut collect).unwrap();
    assert_eq!(steps, [5, 6], "goes on from step 4");
    assert_eq!(outcome(&whole), outcome(&parts));
    assert!(!parts.join("checkpoint").exists());
}

#[test]
fn a_finished_run_is_a_model_folder_and_is_not_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny(&corpus(folder.path()));
    let further = folder.path().join("further.txt");
    std::fs::write(&further, text(20).join("\n\n")).unwrap();
    config.corpus.held_out_file = Some(further.to_str().unwrap().to_owned());
    config.training.steps = 60;
    let out = folder.path().join("out");
    let record = run(&config, &out, &mut |_| {}).unwrap();

    let encoder = EncoderConfig::from_folder(&out).unwrap();
    assert_eq!(encoder, config.encoder(300));
    let weights = Weights::open(&out).unwrap();
    MaskedLm::load(&encoder, &weights, &Device::flex()).unwrap();
    assert_eq!(weights.unused(), Vec::<String>::new());
    assert!(weights.contains("roberta.encoder.layer.1.output.LayerNorm.weight"));
    assert!(weights.contains("lm_head.layer_norm.bias"));
    assert_eq!(record.held_out.len(), 2);
    let (first, last) = (&record.curve[0], record.curve.last().unwrap());
    assert!(
        // Training starts near the unigram loss, so what is left to learn is little.
        last.held_out_loss < first.held_out_loss - 0.15,
        "it learns: {:?}",
        record.curve
    );
    assert!(
        (record.held_out[0].loss - last.held_out_loss).abs() < 0.01,
        "16 bits are enough"
    );

    let mut told = 0;
    assert_eq!(run(&config, &out, &mut |_| told += 1).unwrap(), record);
    assert_eq!(told, 0);
    config.seed = 2;
    let error = run(&config, &out, &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("another pretraining"), "{error}");
}

#[test]
fn another_config_does_not_go_on_from_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny(&corpus(folder.path()));
    let out = folder.path().join("out");
    let mut kill = |progress: Progress| {
        if matches!(progress, Progress::Checkpoint(_)) {
            std::panic::panic_any("killed");
        }
    };
    catch_unwind(AssertUnwindSafe(|| run(&config, &out, &mut kill))).unwrap_err();
    config.training.learning_rate = 1e-3;
    let error = run(&config, &out, &mut |_| {}).unwrap_err().to_string();
    assert!(
        error.contains("unfinished pretraining of another"),
        "{error}"
    );
}

#[test]
fn an_epoch_reads_every_row_once() {
    let config = tiny(Path::new("none"));
    let text: Vec<Vec<u32>> = vec![(0..14 * 8).map(|i| 10 + i).collect()];
    let rows = Rows::pack(&text, 16, 0, 2);
    let train: Vec<u32> = (0..8).collect();
    let mut plan = Plan::new(&config, &rows, &train, 300);
    let restored = |masked: &Masked| {
        let mut ids = masked.ids.clone();
        for (place, label) in masked.places.iter().zip(&masked.labels) {
            ids[*place as usize] = *label as i32;
        }
        ids
    };
    let batches: Vec<Masked> = (1..=4).map(|step| plan.batch(step)).collect();
    let epoch = |of: &[Masked]| {
        let mut ids: Vec<i32> = of.iter().flat_map(restored).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(epoch(&batches[..2]), epoch(&batches[2..]));
    assert_ne!(batches[..2], batches[2..], "another order, other masks");
    // A plan that starts in the middle gives the same.
    assert_eq!(Plan::new(&config, &rows, &train, 300).batch(3), batches[2]);
}

#[test]
fn the_rate_rises_falls_and_never_stands_still() {
    let mut config = tiny(Path::new("none"));
    config.training.steps = 10;
    config.training.learning_rate = 8.0;
    let rates: Vec<f64> = (1..=10).map(|step| rate(&config, step)).collect();
    assert!(rates[0] > 0.0 && rates[0] < rates[1]);
    assert!(
        rates[3..].windows(2).all(|w| w[1] < w[0]) && rates[9] > 0.0,
        "{rates:?}"
    );
}
