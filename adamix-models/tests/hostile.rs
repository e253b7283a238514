//! Model and adapter folders that nobody means well with: refused in words, never a panic, nothing run.

#[path = "../../adamix-data/tests/damage/mod.rs"]
mod damage;

use std::collections::BTreeMap;
use std::path::Path;

use adamix_core::adaptation::{AdaptationConfig, BottleneckConfig};
use adamix_core::parameter::{self, HostTensor};
use adamix_keys::Key;
use adamix_models::encoder::{EncoderConfig, Pooling, SequenceClassifierConfig};
use adamix_models::gpt2::Gpt2Config;
use adamix_models::hub::adapter::{self, AdapterConfig};
use adamix_models::hub::peft::{self, PeftFolder};
use adamix_models::hub::{HubError, Layout, Source, StoredAdapter, Weights, loralib, write};
use adamix_models::site::{Adaptable, Attachment};
use burn::tensor::Device;
use damage::hostile;
use proptest::prelude::*;
use tempfile::TempDir;

/// Two tensors as `torch.save` of PyTorch 2 writes them.
const PICKLE: &[u8] = include_bytes!("data/tiny.bin");

fn tensors() -> BTreeMap<String, HostTensor> {
    let tensor = |shape: &[usize]| HostTensor {
        values: (0..shape.iter().product())
            .map(|i: usize| i as f32)
            .collect(),
        shape: shape.to_vec(),
    };
    BTreeMap::from([
        ("a.adamix.down.0.weight".to_owned(), tensor(&[2, 3])),
        ("classifier.bias".to_owned(), tensor(&[2])),
    ])
}

fn adapter_config() -> AdapterConfig {
    AdapterConfig {
        format: adapter::FORMAT,
        base_hash: "0".repeat(64),
        model_type: "bert".to_owned(),
        attachments: vec![
            Attachment::new(AdaptationConfig::Bottleneck(
                BottleneckConfig::new(2).with_experts(1),
            ))
            .at(["a"]),
        ],
        labels: vec!["no".to_owned(), "yes".to_owned()],
        outputs: 2,
        pooling: "pooler".to_owned(),
        task: "rte".to_owned(),
        merged: false,
        halved: false,
        max_length: 16,
        prompt: None,
    }
}

/// The bytes of a file that is written by `write`.
fn bytes_of(name: &str, write: impl Fn(&Path)) -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    write(folder.path());
    std::fs::read(folder.path().join(name)).unwrap()
}

fn safetensors() -> Vec<u8> {
    bytes_of("t", |folder| {
        write::safetensors(&folder.join("t"), &tensors(), write::Precision::F32).unwrap();
    })
}

/// Opens a file of tensors and reads them all.
fn read_all(path: &Path) -> Result<(), HubError> {
    let weights = Weights::from_files(path.parent().unwrap(), vec![path.to_owned()])?;
    for name in weights.names() {
        let shape = weights.shape(name).unwrap_or_default().to_vec();
        let values = weights.read(name, &shape)?;
        assert_eq!(values.len(), shape.iter().product::<usize>(), "{name}");
    }
    Ok(())
}

fn check<T>(found: Result<T, HubError>, folder: &Path) {
    if let Err(error) = found {
        let error = error.to_string();
        assert!(error.contains(folder.to_str().unwrap()), "{error}");
    }
}

const BERT: &str = r#"{"model_type":"bert","vocab_size":16,"hidden_size":4,"num_hidden_layers":1,
"num_attention_heads":2,"intermediate_size":8,"max_position_embeddings":16,"id2label":{"0":"no"}}"#;
const GPT2: &str =
    r#"{"model_type":"gpt2","vocab_size":16,"n_embd":4,"n_layer":1,"n_head":2,"n_positions":16}"#;
const INDEX: &str =
    r#"{"metadata":{"total_size":32},"weight_map":{"a":"one.safetensors","b":"two.safetensors"}}"#;

const PEFT: &str = r#"{"peft_type":"LORA","r":1,"lora_alpha":2,"target_modules":["q"],
"rank_pattern":{"b.q":2},"alpha_pattern":{},"bias":"none","use_dora":false,"modules_to_save":["classifier"]}"#;

/// What `tools/make_loralib_fixture.py` writes.
const LORALIB: &[u8] = include_bytes!("data/loralib_encoder.bin");

fn peft_tensors() -> Vec<u8> {
    let tensor = |shape: [usize; 2]| HostTensor {
        values: vec![0.5; shape[0] * shape[1]],
        shape: shape.to_vec(),
    };
    let name = |module: &str, half: &str| format!("base_model.model.{module}.{half}.weight");
    let tensors = BTreeMap::from([
        (name("a.q", "lora_A"), tensor([1, 3])),
        (name("a.q", "lora_B"), tensor([4, 1])),
        (name("b.q", "lora_A"), tensor([2, 3])),
        (name("b.q", "lora_B"), tensor([4, 2])),
        (
            "base_model.model.classifier.weight".to_owned(),
            tensor([2, 3]),
        ),
    ]);
    bytes_of("t", |folder| {
        write::safetensors(&folder.join("t"), &tensors, write::Precision::F32).unwrap();
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tensor_files(tensors in hostile(safetensors()), pickle in hostile(PICKLE.to_vec())) {
        let folder = TempDir::new().unwrap();
        for (name, bytes) in [("t.safetensors", tensors), ("t.bin", pickle)] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            check(read_all(&path), folder.path());
        }
    }

    #[test]
    fn adapter_folders(
        tensors in hostile(safetensors()),
        config in hostile(serde_json::to_vec_pretty(&adapter_config()).unwrap()),
    ) {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join(adapter::CONFIG), config).unwrap();
        std::fs::write(folder.path().join(adapter::TENSORS), tensors).unwrap();
        check(adapter::load(folder.path()), folder.path());
        check(StoredAdapter::open(folder.path(), "bert", None), folder.path());
        std::fs::write(folder.path().join(adapter::TENSORS), safetensors()).unwrap();
        check(adapter::load(folder.path()), folder.path());
        check(StoredAdapter::open(folder.path(), "bert", None), folder.path());
    }

    #[test]
    fn foreign_adapters(
        config in hostile(PEFT.into()),
        tensors in hostile(peft_tensors()),
        loralib_file in hostile(LORALIB.to_vec()),
        own in hostile(serde_json::to_vec_pretty(&adapter_config()).unwrap()),
    ) {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join(peft::CONFIG), config).unwrap();
        std::fs::write(folder.path().join(peft::TENSORS), peft_tensors()).unwrap();
        check(PeftFolder::open(folder.path(), "bert"), folder.path());
        check(StoredAdapter::open(folder.path(), "bert", None), folder.path());
        std::fs::write(folder.path().join(peft::CONFIG), PEFT).unwrap();
        PeftFolder::open(folder.path(), "bert").unwrap();
        std::fs::write(folder.path().join(peft::TENSORS), tensors).unwrap();
        check(PeftFolder::open(folder.path(), "bert"), folder.path());
        check(StoredAdapter::open(folder.path(), "bert", None), folder.path());
        // What this program says of an adapter may stand beside it.
        std::fs::write(folder.path().join(adapter::CONFIG), own).unwrap();
        check(StoredAdapter::open(folder.path(), "bert", None), folder.path());
        let file = folder.path().join("lora.bin");
        std::fs::write(&file, loralib_file).unwrap();
        check(loralib::open(&file, "roberta", 8.0), folder.path());
        check(StoredAdapter::open(&file, "roberta", Some(8.0)), folder.path());
    }

    #[test]
    fn configurations(bert in hostile(BERT.into()), gpt2 in hostile(GPT2.into()), index in hostile(INDEX.into())) {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("config.json");
        std::fs::write(&file, bert).unwrap();
        check(EncoderConfig::from_folder(folder.path()), folder.path());
        std::fs::write(&file, gpt2).unwrap();
        check(Gpt2Config::from_folder(folder.path()), folder.path());
        std::fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
        check(Weights::open(folder.path()), folder.path());
    }
}

#[test]
fn the_undamaged_files_are_read() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("pytorch_model.bin");
    std::fs::write(&path, PICKLE).unwrap();
    let weights = Weights::open(folder.path()).unwrap();
    // torch.arange(6).reshape(2, 3) and torch.ones(2)
    assert_eq!(
        weights.read("bert.a.weight", &[2, 3]).unwrap(),
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    );
    assert_eq!(weights.read("b", &[2]).unwrap(), [1.0, 1.0]);
    let folder = TempDir::new().unwrap();
    adapter::save(folder.path(), &adapter_config(), &tensors()).unwrap();
    assert_eq!(
        adapter::load(folder.path()).unwrap(),
        (adapter_config(), tensors())
    );
}

/// A pickle that would create a file if it were run: `os.system("touch MARK")`, in protocol 0.
#[test]
fn a_pickle_is_not_run() {
    let folder = TempDir::new().unwrap();
    let mark = folder.path().join("mark");
    let pickle = format!("cos\nsystem\n(Vtouch {}\ntR.", mark.display());
    let path = folder.path().join("pytorch_model.bin");
    std::fs::write(&path, &pickle).unwrap();
    check(Weights::open(folder.path()), folder.path());
    assert!(!mark.exists());
    // The same inside a well-formed archive: its one stored member, behind a directory of the archive.
    let archive = stored_zip("archive/data.pkl", pickle.as_bytes());
    std::fs::write(&path, archive).unwrap();
    check(Weights::open(folder.path()), folder.path());
    assert!(!mark.exists());
}

#[test]
fn a_shard_is_a_file_of_its_folder() {
    for name in ["../secret", "/etc/passwd", "..", "a/b", ".hidden", ""] {
        let folder = TempDir::new().unwrap();
        let index = serde_json::json!({"weight_map": {"a": name}});
        std::fs::write(
            folder.path().join("model.safetensors.index.json"),
            index.to_string(),
        )
        .unwrap();
        let error = Weights::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("not a file of this folder"), "{error}");
    }
}

/// Sizes in an adapter's configuration that its tensors cannot fill would be memory asked for in vain.
#[test]
fn an_adapter_cannot_ask_for_more_than_it_holds() {
    let folder = TempDir::new().unwrap();
    let shape = |bottleneck, experts| {
        let config = BottleneckConfig::new(bottleneck).with_experts(experts);
        vec![Attachment::new(AdaptationConfig::Bottleneck(config)).at(["a"])]
    };
    for (key, config) in [
        (
            "outputs",
            AdapterConfig {
                outputs: 1 << 40,
                ..adapter_config()
            },
        ),
        (
            "outputs",
            AdapterConfig {
                outputs: 0,
                ..adapter_config()
            },
        ),
        (
            "attachments",
            AdapterConfig {
                attachments: shape(usize::MAX, 4),
                ..adapter_config()
            },
        ),
        (
            "attachments",
            AdapterConfig {
                attachments: shape(2, 1 << 30),
                ..adapter_config()
            },
        ),
        (
            "attachments",
            AdapterConfig {
                attachments: shape(0, 1),
                ..adapter_config()
            },
        ),
        (
            "attachments",
            AdapterConfig {
                attachments: [shape(2, 1), shape(2, 0)].concat(),
                ..adapter_config()
            },
        ),
    ] {
        adapter::save(folder.path(), &config, &tensors()).unwrap();
        for error in [
            adapter::load(folder.path()).unwrap_err(),
            StoredAdapter::open(folder.path(), "bert", None).unwrap_err(),
        ] {
            let error = error.to_string();
            assert!(error.contains(&format!("`{key}`")), "{error}");
        }
    }
}

#[test]
fn an_adapter_in_the_shape_of_peft_cannot_either() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join(peft::CONFIG), PEFT).unwrap();
    std::fs::write(folder.path().join(peft::TENSORS), peft_tensors()).unwrap();
    let open = |outputs| {
        let config = AdapterConfig {
            outputs,
            ..adapter_config()
        };
        let json = serde_json::to_vec(&config).unwrap();
        std::fs::write(folder.path().join(adapter::CONFIG), json).unwrap();
        StoredAdapter::open(folder.path(), "bert", None)
    };
    open(2).unwrap();
    for outputs in [0, 1 << 40] {
        let error = open(outputs).unwrap_err().to_string();
        assert!(error.contains("`outputs`"), "{error}");
    }
}

/// A bottleneck that is no wider than the file has values, at a place whose width the file does not tell.
#[test]
fn an_adapter_cannot_ask_a_model_for_more_than_it_holds() {
    let (folder, device) = (TempDir::new().unwrap(), Device::flex());
    std::fs::write(folder.path().join("config.json"), BERT).unwrap();
    let config = SequenceClassifierConfig {
        encoder: EncoderConfig::from_folder(folder.path()).unwrap(),
        outputs: 2,
        pooling: Pooling::Pooler,
    };
    let model = config.build_all(&Source::zeros(&device)).unwrap();
    let attachment = |bottleneck| {
        let config = BottleneckConfig::new(bottleneck).with_experts(1);
        Attachment::new(AdaptationConfig::Bottleneck(config)).at(["layer.0.output"])
    };
    let fitting = (model.clone()).attach(&[attachment(100)], 0, Key::new(0), &device);
    let held = parameter::export(&fitting.unwrap(), |info| info.name.contains(".adamix."));
    let onto = |bottleneck| {
        let about = AdapterConfig {
            attachments: vec![attachment(bottleneck)],
            ..adapter_config()
        };
        adapter::save(folder.path(), &about, &held).unwrap();
        let stored = StoredAdapter::open(folder.path(), "bert", None).unwrap();
        stored.onto(model.clone(), Layout::OutIn, &device)
    };
    onto(100).unwrap();
    let error = onto(800).unwrap_err().to_string();
    assert!(error.contains("`attachments` is of size 6400"), "{error}");
}

/// A ZIP archive of one member that is not compressed.
fn stored_zip(name: &str, data: &[u8]) -> Vec<u8> {
    let crc = crc32(data);
    let size = data.len() as u32;
    let mut common = Vec::new();
    common.extend([20, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for number in [crc, size, size] {
        common.extend(number.to_le_bytes());
    }
    common.extend((name.len() as u16).to_le_bytes());
    common.extend([0, 0]);
    let mut zip = b"PK\x03\x04".to_vec();
    zip.extend(&common);
    zip.extend(name.as_bytes());
    zip.extend(data);
    let directory = zip.len() as u32;
    zip.extend(b"PK\x01\x02\x14\x00");
    zip.extend(&common);
    zip.extend([0; 14]);
    zip.extend(name.as_bytes());
    let length = zip.len() as u32 - directory;
    zip.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    for number in [length, directory] {
        zip.extend(number.to_le_bytes());
    }
    zip.extend([0, 0]);
    zip
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |mut crc: u32, byte: &u8| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
        crc
    };
    !bytes.iter().fold(!0, step)
}
