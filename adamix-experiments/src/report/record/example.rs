//! A record for tests.

use super::Record;

/// A run of two classes on a task: the log-odds that it ends with.
pub(crate) fn example(task: &str, seed: u64, odds: &[f64]) -> Record {
    let state = serde_json::json!({
        "epoch": 1,
        "step": 10,
        "metrics": {},
        "outputs": { "log_odds": { "classes": 2, "values": odds } },
    });
    let record = serde_json::json!({
        "id": format!("{task}-{seed}"),
        "base_hash": "",
        "data_hash": "",
        "semantics": 1,
        "config": { "seed": seed },
        "task": task,
        "method": "adamix",
        "selection": "accuracy",
        "inference": "merged",
        "gold": "",
        "best": state,
        "last": state,
        "curve": { "losses": [], "scores": [] },
        "rows": { "dev": odds.len(), "train": 100 },
        "parameters": {
            "backbone": 0, "experts": 0, "head": 0, "merged": 0,
            "router": 0, "shared": 0, "trained": 0, "unfrozen": 0,
        },
        "stored_bytes": 0,
        "seconds": {},
        "device": "cpu",
        "version": "0",
    });
    serde_json::from_value(record).expect("the fields of a record")
}
