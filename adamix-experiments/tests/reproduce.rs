//! Tables and figures by the real program: from runs to records, from records to files, and back.

mod browser;
mod process;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use process::{adamix, files};

fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

fn fails(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    assert!(!status.success());
    String::from_utf8(stderr).unwrap()
}

fn report(results: &Path) -> Command {
    let mut command = adamix();
    command.arg("report").arg("--results").arg(results);
    command
}

/// Puts `new` for the first `old` of a file.
fn edit(path: &Path, old: &str, new: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(old), "{}: no `{old}`", path.display());
    std::fs::write(path, text.replacen(old, new, 1)).unwrap();
}

#[test]
fn the_same_command_goes_on_and_records_alone_give_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results");
    let smoke = results.join("smoke");
    let reproduce = |rows: &str| {
        let mut command = adamix();
        command
            .args(["reproduce", "table8", "--profile", "smoke", "--seeds", "1"])
            .args(["--only", rows, "--results"])
            .arg(&smoke)
            .arg("--store")
            .arg(folder.path().join("runs"));
        command
    };
    let told = succeeds(&mut reproduce("adamix"));
    assert!(
        told.contains("1 runs done now, 0 recorded before"),
        "{told}"
    );
    // A cell that was not run says so.
    let table = smoke.join("tables/table8.md");
    let first = std::fs::read_to_string(&table).unwrap();
    assert!(first.contains("not run"), "{first}");
    let told = succeeds(&mut reproduce("adamix,no-sharing"));
    assert!(
        told.contains("1 runs done now, 1 recorded before"),
        "{told}"
    );
    assert_ne!(std::fs::read_to_string(&table).unwrap(), first);
    // A record of another base model, or of other data, is not that of today's.
    let path = record(&smoke);
    let text = std::fs::read_to_string(&path).unwrap();
    let old: serde_json::Value = serde_json::from_str(&text).unwrap();
    let id = old["id"].as_str().unwrap();
    edit(&path, id, "0123456789abcdef");
    let name = path.file_name().unwrap().to_str().unwrap();
    std::fs::rename(
        &path,
        path.with_file_name(name.replace(id, "0123456789abcdef")),
    )
    .unwrap();
    let told = succeeds(&mut reproduce("adamix,no-sharing"));
    assert!(
        told.contains("1 runs done now, 1 recorded before"),
        "{told}"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    assert_eq!(smoke.join("records").read_dir().unwrap().count(), 2);

    if let Some(found) = browser::visit(&smoke.join("report.html"), folder.path()) {
        assert_eq!(found["dangling"], serde_json::json!([]), "{found}");
        assert_eq!((&found["runs"], &found["unsorted"]), (&2.into(), &0.into()));
        assert_eq!(
            (&found["pictures"], &found["wide"]),
            (&found["figures"], &0.into())
        );
        assert!(found["sorted"].as_u64() > Some(50), "{found}");
        assert!(found["links"].as_u64() > Some(2), "{found}");
    }

    // Everything but the records deleted, and written again from them.
    let whole = files(&smoke);
    for name in ["tables", "figures"] {
        std::fs::remove_dir_all(smoke.join(name)).unwrap();
    }
    std::fs::remove_file(smoke.join("report.html")).unwrap();
    succeeds(&mut report(&results));
    assert_eq!(files(&smoke), whole);
    succeeds(report(&results).arg("--check"));

    // A cell edited by hand, in any form of the table, and a score that its predictions do not give.
    let forms = [
        "tables/table8.md",
        "tables/table8.csv",
        "tables/table8.tex",
        "report.html",
    ];
    for name in forms {
        edit(&smoke.join(name), "AdaMix", "AdaMax");
    }
    let error = fails(report(&results).arg("--check"));
    for name in forms {
        assert!(error.contains(name), "{name}: {error}");
    }
    succeeds(&mut report(&results));
    std::fs::remove_file(smoke.join(forms[0])).unwrap();
    let error = fails(report(&results).arg("--check"));
    assert!(error.contains(forms[0]), "{error}");
    let record = record(&smoke);
    let text = std::fs::read_to_string(&record).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value["last"]["metrics"]["accuracy"] = 0.999.into();
    std::fs::write(&record, value.to_string()).unwrap();
    let error = fails(report(&results).arg("--check"));
    assert!(error.contains("accuracy"), "{error}");
}

/// Another exhibit of the same run adds to what was measured of it.
#[test]
fn the_plan_of_the_paper_has_a_source_for_every_setting() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = adamix();
    command.args(["reproduce", "table1", "--profile", "paper", "--dry-run"]);
    command.arg("--results").arg(folder.path());
    let text = succeeds(&mut command);
    let plan: serde_json::Value = serde_json::from_str(&succeeds(command.arg("--json"))).unwrap();
    let runs = plan["runs"].as_array().unwrap();
    let names = |key: &str| -> BTreeSet<&str> {
        let all = runs.iter().map(|run| run[key].as_str().unwrap());
        all.collect()
    };
    assert_eq!(names("task").len(), 8);
    assert_eq!(names("row").len(), 7);
    assert_eq!(runs.len(), 56);
    let mut steps = 0;
    for run in runs {
        assert_eq!(run["done"], false);
        steps += run["cost"]["steps"].as_u64().unwrap();
        assert!(text.contains(run["title"].as_str().unwrap()));
        for setting in run["settings"].as_array().unwrap() {
            assert_ne!(setting["source"], "", "{setting}");
        }
    }
    assert_eq!(plan["total"]["steps"], steps);
    // Of the released run's own folder name.
    let rte = |run: &&serde_json::Value| run["row"] == "adamix" && run["task"] == "rte";
    let rte = runs.iter().find(rte).unwrap()["settings"]
        .as_array()
        .unwrap();
    let rate = |setting: &&serde_json::Value| setting["key"] == "optimizer.learning_rate";
    let rate = rte.iter().find(rate).unwrap();
    assert_eq!(rate["value"], 5e-4);
    let source = rate["source"].as_str().unwrap();
    assert!(source.contains("released run"), "{source}");
}

#[test]
fn what_is_measured_of_a_run_stays_in_its_record() {
    let folder = tempfile::tempdir().unwrap();
    let smoke = folder.path().join("smoke");
    for (exhibit, rows) in [
        ("table7", "adamix"),
        ("usage", "adamix"),
        ("table7", "adamix"),
    ] {
        let mut command = adamix();
        command.args([
            "reproduce",
            exhibit,
            "--profile",
            "smoke",
            "--seeds",
            "1",
            "--only",
            rows,
        ]);
        command
            .arg("--results")
            .arg(&smoke)
            .arg("--store")
            .arg(folder.path().join("runs"));
        succeeds(&mut command);
    }
    let record = std::fs::read_to_string(record(&smoke)).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["modes"].as_object().unwrap().len(), 3);
    assert!(record["usage"].is_object());
}

fn record(smoke: &Path) -> PathBuf {
    let mut entries = smoke.join("records").read_dir().unwrap();
    entries.next().unwrap().unwrap().path()
}

#[test]
fn committed_tables_are_what_their_records_give() {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("../paper-results");
    let recorded = |name: &str| results.join(name).join("records").is_dir();
    if !["smoke", "laptop", "paper"].into_iter().any(recorded) {
        println!("skipped: no profile has committed records");
        return;
    }
    succeeds(report(&results).arg("--check"));
}
