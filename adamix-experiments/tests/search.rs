//! The committed search of learning rates and epochs: equally many trials for each method, none on development rows.

use std::collections::BTreeMap;
use std::path::Path;

use adamix_experiments::config;
use adamix_experiments::sweep::SweepFile;

#[test]
fn every_method_has_equally_many_trials_on_held_out_training_rows() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../paper-results/laptop/search");
    let mut trials: BTreeMap<String, usize> = BTreeMap::new();
    for name in ["rates.toml", "baselines.toml"] {
        let file = SweepFile::read(&folder.join(name)).unwrap();
        assert_eq!(file.choose.for_each, ["adaptation.method"]);
        for case in &file.case {
            let mut table = file.config.clone();
            config::overlay(&mut table, case.clone());
            let run = config::resolve(table).unwrap();
            assert!(run.input.held_out > 0.0);
            let epochs = file.grid["schedule"]["epochs"].as_array().unwrap();
            assert_eq!(epochs.len(), 2);
            *trials.entry(run.adaptation.method.to_string()).or_default() += epochs.len();
        }
    }
    assert_eq!(trials.len(), 11);
    assert!(trials.values().all(|n| *n == 6), "{trials:?}");
}
