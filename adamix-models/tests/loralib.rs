//! `.bin` files as loralib writes them, made by torch (`tools/make_loralib_fixture.py`).

use std::path::PathBuf;

use adamix_models::hub::loralib;
use serde_json::Value;

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn numbers(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        other => vec![other.as_f64().unwrap() as f32],
    }
}

fn expected() -> Value {
    serde_json::from_str(&std::fs::read_to_string(data("loralib.json")).unwrap()).unwrap()
}

#[test]
fn updates_are_those_that_torch_computes() {
    let expected = expected();
    for (name, prefix) in [
        ("loralib_encoder.bin", "roberta"),
        ("loralib_decoder.bin", "transformer"),
    ] {
        let adapter = loralib::open(&data(name), prefix, 6.0).unwrap();
        assert!(!adapter.low_rank.is_empty());
        for (module, update) in &adapter.low_rank {
            let wanted = numbers(&expected["updates"][module.as_str()]);
            let found = update.product();
            assert_eq!(found.len(), wanted.len());
            assert!(
                found.iter().zip(&wanted).all(|(f, w)| (f - w).abs() < 1e-5),
                "{module}"
            );
        }
    }
}

#[test]
fn the_head_comes_along() {
    let adapter = loralib::open(&data("loralib_encoder.bin"), "roberta", 6.0).unwrap();
    let head = &adapter.parameters["classifier.out_proj.weight"];
    assert_eq!(
        (head.shape.as_slice(), &head.values),
        (&[3, 4][..], &numbers(&expected()["head"]))
    );
    assert_eq!(
        adapter.parameters["classifier.out_proj.bias"].values.len(),
        3
    );
}

/// Pickles are programs: this one would make a file if it were run.
#[test]
fn a_pickle_that_calls_a_function_is_refused_and_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let witness = folder.path().join("witness");
    let program = format!("cos\nsystem\n(S'touch {}'\ntR.", witness.display());
    let file = folder.path().join("hostile.bin");
    std::fs::write(&file, program).unwrap();
    let error = loralib::open(&file, "roberta", 1.0)
        .unwrap_err()
        .to_string();
    assert!(error.contains("hostile.bin"), "{error}");
    assert!(!witness.exists());
}

#[test]
fn a_truncated_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(data("loralib_encoder.bin")).unwrap();
    for length in [0, 10, bytes.len() / 2, bytes.len() - 1] {
        let file = folder.path().join("cut.bin");
        std::fs::write(&file, &bytes[..length]).unwrap();
        let error = loralib::open(&file, "roberta", 1.0)
            .unwrap_err()
            .to_string();
        assert!(error.contains("cut.bin"), "{error}");
    }
}
