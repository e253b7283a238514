//! Defaults that depend on other keys.

use adamix_core::adaptation::Activation;
use toml::Table;

use super::{MeasuredAfter, RunConfig};

/// Sets the keys that `given` does not name and whose default depends on the method or the task.
pub fn fill(config: &mut RunConfig, given: &Table) {
    let named = |table: &str, key: &str| given.get(table).and_then(|t| t.get(key)).is_some();
    let generates = config.corpus().is_some();
    if !named("consistency", "weight") {
        // Baselines are trained with one pass unless a config asks for the consistency term (R-Drop).
        config.consistency.weight = match config.adaptation.method.mixture {
            false => 0.0,
            true if generates => 100.0,
            true => 1.0,
        };
    }
    if !named("evaluation", "after") && config.few_shot.split > 0 {
        // The split's other rows are the test rows: nothing is chosen on them.
        config.evaluation.after = MeasuredAfter::Last;
    }
    if !generates {
        return;
    }
    if !named("input", "max_length") {
        config.input.max_length = 512;
    }
    if !named("backbone", "dropout") {
        config.backbone.dropout = 0.0;
    }
    if !named("adaptation", "activation") {
        config.adaptation.activation = Activation::GeluTanh;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MeasuredAfter, read};

    #[test]
    fn the_task_and_the_method_decide_what_is_not_named() {
        let config = |settings: &[&str]| {
            let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
            read(None, &settings).unwrap()
        };
        assert_eq!(config(&[]).consistency.weight, 1.0);
        let adapter = config(&["adaptation.method=adapter"]);
        assert_eq!(adapter.consistency.weight, 0.0);
        let r_drop = config(&["adaptation.method=adapter", "consistency.weight=5"]);
        assert_eq!(r_drop.consistency.weight, 5.0);
        let split = config(&["task=rte", "few_shot.split=1"]);
        assert_eq!(split.evaluation.after, MeasuredAfter::Last);
        let e2e = config(&["task=e2e", "adaptation.method=adamix-lora"]);
        assert_eq!((e2e.consistency.weight, e2e.backbone.dropout), (100.0, 0.0));
        assert_eq!(e2e.input.max_length, 512);
        assert_eq!(
            config(&["task=e2e", "input.max_length=99"])
                .input
                .max_length,
            99
        );
    }
}
