//! The real program on a tiny decoder and data set that this test makes itself: train, decode, score.

mod fixture;

use std::path::Path;

use assert_cmd::Command;
use fixture::decoder::DecoderFixture;
use serde_json::Value;

fn adamix() -> Command {
    Command::cargo_bin("adamix").expect("the program is built with its tests")
}

fn train(fixture: &DecoderFixture, out: &Path, further: &[&str]) {
    let mut command = adamix();
    command
        .arg("train")
        .arg("--config")
        .arg(fixture.config())
        .arg("--out")
        .arg(out)
        .args(further);
    command.assert().success();
}

/// Standard output of a command that succeeds.
fn output(command: &mut Command) -> String {
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

/// Runs a command that must fail; returns its one line of error.
fn refused(command: &mut Command) -> String {
    let output = command.assert().failure().get_output().clone();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error.trim_end().lines().count(), 1, "one line: {error}");
    assert!(!error.contains("panicked"), "{error}");
    error
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The first line of a file of JSON lines.
fn first(path: &Path) -> Value {
    json(read(path).lines().next().unwrap())
}

#[test]
fn a_run_trains_decodes_and_scores() {
    let fixture = DecoderFixture::new();
    let (out, again) = (fixture.path("run"), fixture.path("again"));
    train(
        &fixture,
        &out,
        &["--trace", "--set", "generation.states=both"],
    );
    let result = json(&read(&out.join("result.json")));
    assert_eq!(
        (result["task"].as_str(), result["method"].as_str()),
        (Some("e2e"), Some("adamix-lora"))
    );
    assert_eq!(result["rows"]["test"], 6);
    for state in ["best", "last"] {
        let scores = &result["test"][state]["scores"]["all"];
        // Of each text what it adds to BLEU: matches, words, words of the nearest reference.
        let bleu = result["test"][state]["bleu"].as_array().unwrap();
        assert_eq!(bleu.len(), 6);
        assert!(bleu.iter().all(|kept| kept[0].as_u64() <= kept[4].as_u64()));
        for name in ["BLEU", "NIST", "METEOR", "ROUGE_L", "CIDEr"] {
            assert!(
                scores.get(name).is_some(),
                "{state} has no {name}: {scores}"
            );
        }
        assert_eq!(
            read(&out.join(format!("predictions/{state}.txt")))
                .lines()
                .count(),
            6
        );
    }
    let loss = |state: &str| result[state]["metrics"]["loss"].as_f64().unwrap();
    assert!(loss("best") <= loss("last"));
    let perplexity = result["last"]["metrics"]["perplexity"].as_f64().unwrap();
    assert!((perplexity - loss("last").exp()).abs() < 1e-9 * perplexity);
    // The default of text generation: a second pass, its term a hundredfold.
    let step = first(&out.join("metrics.jsonl"));
    let part = |name: &str| step[name].as_f64().unwrap();
    let total = part("task_loss") + 100.0 * part("consistency_loss");
    assert!((part("loss") - total).abs() < 1e-5 * total, "{step}");
    let metrics = read(&out.join("metrics.jsonl"));
    let steps = metrics
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let mut terms = steps.filter_map(|step: Value| step["consistency_loss"].as_f64());
    assert!(terms.any(|term| term > 0.0), "both passes are the same");
    let sites = first(&out.join("trace.jsonl"));
    assert!(
        sites["micro"][0]["passes"][1]
            .get("transformer.h.1.attn.c_attn")
            .is_some(),
        "{sites}"
    );

    train(
        &fixture,
        &again,
        &["--trace", "--set", "generation.states=both"],
    );
    for file in [
        "metrics.jsonl",
        "trace.jsonl",
        "adapter/last/adamix.safetensors",
        "merged/best/adapter_model.safetensors",
        "predictions/best.txt",
        "predictions/last.jsonl",
    ] {
        let bytes = |run: &Path| std::fs::read(run.join(file)).unwrap();
        assert!(
            bytes(&out) == bytes(&again),
            "{file} differs between two equal runs"
        );
    }

    // The same texts from the program's other verbs.
    let texts = fixture.path("texts.txt");
    let test = fixture.data().join("testset_w_refs.csv");
    let generate = |adapter: &[&str]| {
        let mut command = adamix();
        command.args(["generate", "--task", "e2e", "--set", "generation.beams=3"]);
        command
            .args(["--set", "generation.new_tokens=12"])
            .args(adapter);
        command
            .arg("--input")
            .arg(&test)
            .arg("--output")
            .arg(&texts);
        command.assert().success();
        read(&texts)
    };
    let expected = read(&out.join("predictions/last.txt"));
    let (run, model) = (
        out.display().to_string(),
        fixture.model().display().to_string(),
    );
    assert_eq!(generate(&["--run", &run]), expected);
    let merged = out.join("merged/last").display().to_string();
    assert_eq!(
        generate(&["--model", &model, "--adapter", &merged]),
        expected
    );
    let scores = json(&output(
        adamix()
            .args(["score", "e2e", "--python-mteval", "--json", "--refs"])
            .arg(&test)
            .arg("--hyps")
            .arg(&texts),
    ));
    for name in ["BLEU", "NIST", "ROUGE_L", "CIDEr"] {
        let score = &result["test"]["last"]["scores"]["all"][name];
        assert!(score.is_number(), "{name}: {score}");
        assert_eq!(&scores["scores"][name], score, "{name}");
    }

    let measured = |mode: &str| {
        let mut command = adamix();
        command.args([
            "evaluate",
            &run,
            "--state",
            "last",
            "--json",
            "--inference",
            mode,
        ]);
        json(&output(&mut command))["metrics"]["loss"]
            .as_f64()
            .unwrap()
    };
    assert_eq!(measured("merged"), loss("last"));
    for mode in ["random", "fixed", "ensemble"] {
        assert!((measured(mode) - loss("last")).abs() < 1.0, "{mode}");
    }
    let mut command = adamix();
    command.args(["evaluate", &run, "--state", "last", "--json", "--test"]);
    let tested = json(&output(&mut command))["test"].clone();
    assert_eq!(tested["scores"], result["test"]["last"]["scores"]);
}

#[test]
fn padding_does_not_change_the_loss() {
    let fixture = DecoderFixture::new();
    let losses = |policy: &str, pad: &str| {
        let out = fixture.path(&format!("{policy}-{pad}"));
        let (policy, pad) = (
            format!("routing.policy={policy}"),
            format!("input.pad={pad}"),
        );
        let settings = [
            "--set",
            &policy,
            "--set",
            &pad,
            "--set",
            "adaptation.lora_dropout=0",
            "--set",
            "generation.test_inputs=1",
        ];
        train(&fixture, &out, &settings);
        let metrics = read(&out.join("metrics.jsonl"));
        let value = |line: &str| json(line)["loss"].as_f64();
        metrics.lines().filter_map(value).collect::<Vec<f64>>()
    };
    // The second adds a term that counts tokens.
    for policy in ["stochastic", "top-k"] {
        let (trimmed, padded) = (losses(policy, "batch"), losses(policy, "max"));
        assert_eq!(trimmed.len(), 12);
        for (trimmed, padded) in trimmed.iter().zip(&padded) {
            assert!(
                (trimmed - padded).abs() < 1e-4 * trimmed,
                "{policy}: {trimmed} {padded}"
            );
        }
    }
}

#[test]
fn every_method_of_the_papers_tables_runs() {
    let fixture = DecoderFixture::new();
    for method in ["adamix", "adapter", "lora", "full", "prefix", "top", "lin"] {
        let out = fixture.path(method);
        let method = format!("adaptation.method={method}");
        let settings = [
            "--set",
            &method,
            "--set",
            "schedule.max_steps=2",
            "--set",
            "generation.test_inputs=2",
        ];
        train(&fixture, &out, &settings);
        let result = json(&read(&out.join("result.json")));
        assert!(
            result["last"]["metrics"]["loss"]
                .as_f64()
                .unwrap()
                .is_finite()
        );
    }
}

#[test]
fn a_plain_model_continues_prompts() {
    let fixture = DecoderFixture::new();
    let (input, output) = (fixture.path("in.jsonl"), fixture.path("out.jsonl"));
    std::fs::write(&input, "{\"prompt\": \"a pub\"}\n{\"context\": \"name : Zizzi\"}\n{\"input_ids\": [97, 32, 112, 117, 98]}\n").unwrap();
    let model = fixture.model().display().to_string();
    let generate = |settings: &[&str]| {
        let mut command = adamix();
        command.args([
            "generate",
            "--model",
            &model,
            "--set",
            "generation.new_tokens=9",
        ]);
        for setting in settings {
            command.args(["--set", setting]);
        }
        command
            .arg("--input")
            .arg(&input)
            .arg("--output")
            .arg(&output);
        command.assert().success();
        let lines: Vec<Value> = read(&output).lines().map(json).collect();
        assert_eq!(lines.len(), 3);
        // The third prompt spells the first.
        assert_eq!(lines[0], lines[2]);
        lines
    };
    let greedy = generate(&["generation.search=greedy"]);
    let beam = generate(&[
        "generation.search=huggingface",
        "generation.beams=1",
        "generation.no_repeat_ngram=0",
    ]);
    let tokens = |lines: &[Value]| {
        lines
            .iter()
            .map(|l| l["tokens"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(tokens(&greedy), tokens(&beam));
    let sample = |seed: &str| generate(&["generation.search=sample", seed]);
    assert_eq!(sample("seed=3"), sample("seed=3"));
    assert_ne!(sample("seed=3"), sample("seed=4"));
}

#[test]
fn bad_input_is_one_line() {
    let fixture = DecoderFixture::new();
    let (model, out) = (
        fixture.model().display().to_string(),
        fixture.path("out.txt"),
    );
    let generate = |name: &str, content: &[u8], further: &[&str]| {
        let input = fixture.path(name);
        std::fs::write(&input, content).unwrap();
        let mut command = adamix();
        command.args(["generate", "--model", &model]).args(further);
        command.arg("--input").arg(&input).arg("--output").arg(&out);
        let error = refused(&mut command);
        assert!(!out.exists(), "a file was written all the same");
        error
    };
    let has = |error: String, part: &str| assert!(error.contains(part), "{error}\n  wanted {part}");
    has(
        generate("a.txt", b"x\n\ny\n", &[]),
        "a.txt:2: the line is empty",
    );
    has(
        generate("a.txt", b"x\n\xff\n", &[]),
        "a.txt:2: invalid UTF-8",
    );
    has(generate("a.txt", b"", &[]), "a.txt: the file is empty");
    has(
        generate("a.jsonl", b"{\"prompt\": \"x\"}\n{\"text\": 1}\n", &[]),
        "a.jsonl:2",
    );
    has(
        generate(
            "a.jsonl",
            b"{\"input_ids\": [1]}\n{\"input_ids\": [999]}\n",
            &[],
        ),
        "a.jsonl:2: token id 999",
    );
    has(
        generate("a.txt", b"x\n", &["--set", "generation.temperature=0.5"]),
        "does not read it",
    );
    has(
        generate("a.jsonl", b"{\"input_ids\": [-1]}\n", &[]),
        "no token id",
    );
    has(
        generate("a.txt", b"x\n", &["--set", "generation.new_tokens=96"]),
        "generation.new_tokens",
    );
    has(
        generate("a.csv", b"mr,ref\nname[A],\"x\n", &["--task", "e2e"]),
        "a.csv:2: a quotation mark",
    );

    let train = |settings: &[&str]| {
        let mut command = adamix();
        command.arg("train").arg("--config").arg(fixture.config());
        command.arg("--out").arg(fixture.path("never"));
        for setting in settings {
            command.args(["--set", setting]);
        }
        refused(&mut command)
    };
    has(
        train(&["adaptation.method=head"]),
        "a decoder's head is its embedding table",
    );
    has(train(&["task=dart"]), "dart-*-dev.json");
    has(train(&["generation.train_split=dev"]), "input.train_rows");
    // What would only be seen after the last step is refused before the first.
    for (settings, part) in [
        (&["generation.new_tokens=96"][..], "generation.new_tokens"),
        (
            &["adaptation.method=prefix", "adaptation.length=90"],
            "generation.new_tokens",
        ),
        (
            &["adaptation.method=prompt", "adaptation.length=96"],
            "adaptation.length",
        ),
        (
            &["generation.search=sample", "generation.temperature=0"],
            "generation.temperature",
        ),
        (
            &["generation.search=sample", "generation.top_p=3"],
            "generation.top_p",
        ),
        (&["generation.length_penalty=nan"], "length_penalty"),
        (&["merging.rule=weighted"], "weights"),
        (
            &["adaptation.method=adamix", "merging.rule=product-svd"],
            "product-svd",
        ),
        (&["few_shot.per_class=4"], "few_shot.per_class"),
        (&["custom.first=name"], "custom"),
    ] {
        has(train(settings), part);
        assert!(!fixture.path("never").exists(), "{settings:?}");
    }
    has(train(&["input.max_length=20"]), "leaves no room");
    assert!(!fixture.path("never").join("result.json").exists());
}

#[test]
fn an_adapter_that_lacks_a_tensor_is_refused() {
    let fixture = DecoderFixture::new();
    let run = fixture.path("run");
    train(&fixture, &run, &["--set", "schedule.max_steps=1"]);
    let file = run.join("adapter/last/adamix.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    let name = b"down.0.weight";
    let place = bytes
        .windows(name.len())
        .position(|seen| seen == name)
        .unwrap();
    bytes[place + 5] = b'9';
    std::fs::write(&file, bytes).unwrap();
    let input = fixture.path("input.txt");
    std::fs::write(&input, "name : Zizzi\n").unwrap();
    let mut command = adamix();
    command.arg("generate").arg("--model").arg(fixture.model());
    command.arg("--adapter").arg(run.join("adapter/last"));
    command
        .arg("--input")
        .arg(&input)
        .arg("--output")
        .arg(fixture.path("out.txt"));
    let error = refused(&mut command);
    assert!(error.contains("down.0.weight` is missing"), "{error}");
}
