//! What a rule chooses from: the experts of one run, or several runs that each are one expert.

use std::collections::BTreeMap;

use adamix_core::account::MARK;
use adamix_core::adaptation::Adaptation;
use adamix_core::merging::{MergeError, MergeRule, Place, Uniform, Weighted};
use adamix_core::parameter::{self, HostTensor, ParameterInfo};
use adamix_models::encoder::is_lm_head;
use adamix_models::site::Adaptable;
use anyhow::{Context, Result, ensure};

/// Models of one shape that are to become one.
#[derive(Clone, Debug)]
pub struct Candidates<M> {
    /// All of them as one model with mixtures.
    pub mixture: M,
    /// Each alone, with one module a site; trained further if the models are.
    pub experts: Vec<M>,
    /// What several runs trained outside banks: heads, norms, parameters of the base.
    loose: Vec<String>,
    /// Where these started, if that was the same for all runs: the base's own values.
    start: BTreeMap<String, HostTensor>,
}

impl<M: Adaptable> Candidates<M> {
    /// The experts of one run: expert `i` on both sides of every layer.
    ///
    /// # Errors
    /// If there is one only.
    pub fn of_run(model: M) -> Result<Self> {
        let sites = model.sites();
        let count = sites.iter().map(|site| site.down.max(site.up)).max();
        let count = count.unwrap_or(1);
        ensure!(
            count > 1,
            "the run has one module a site, which leaves nothing to merge; `adamix merge` takes several such runs"
        );
        let alone = |i| model.clone().joined(&Weighted::subset(&[i], count));
        Ok(Self {
            experts: (0..count).map(alone).collect::<Result<_, _>>()?,
            mixture: model,
            loose: Vec::new(),
            start: BTreeMap::new(),
        })
    }

    /// Several runs, each with one module a site: each is an expert, heads and all else that they trained
    /// included. `bare` is the base that they were trained on, a fresh head the only thing on it that is trainable.
    ///
    /// # Errors
    /// If they are not of one shape.
    pub fn of_runs(experts: Vec<M>, bare: &M) -> Result<Self> {
        let trained = |model: &M| -> Vec<ParameterInfo> {
            let mut infos = parameter::parameters(model);
            infos.retain(|info| info.trainable);
            infos
        };
        let first = trained(&experts[0]);
        for (i, model) in experts.iter().enumerate().skip(1) {
            let other = trained(model);
            let differs = first.iter().zip(&other).find(|(a, b)| a != b);
            let name = differs.map_or("their number", |(a, _)| a.name.as_str());
            ensure!(
                first == other,
                "the first run and run {} did not train the same parameters: they differ in {name}",
                i + 1
            );
        }
        let loose = first.iter().map(|info| info.name.clone());
        let loose = loose.filter(|name| !Parameter::of(name).is_of_bank());
        let loose: Vec<String> = loose.collect();
        let of_base = |info: &ParameterInfo| !info.trainable || is_lm_head(&info.name);
        Ok(Self {
            mixture: together(&experts)?,
            start: parameter::export(bare, |info| of_base(info) && loose.contains(&info.name)),
            loose,
            experts,
        })
    }

    /// The mixture within what an expert was trained with: its heads, norms and parameters of the base.
    ///
    /// # Errors
    /// If the models are not of one shape.
    pub fn mixture_around(&self, expert: usize) -> Result<M> {
        let own = &self.experts[expert];
        let own = parameter::export(own, |info| self.loose.contains(&info.name));
        Ok(parameter::assign(self.mixture.clone(), own)?)
    }

    /// The model that `rule` makes of them, outside autodiff. Of what the base had, a rule sees how far the runs moved
    /// it: what prunes or thins drops changes, not the base. Where a rule merges whole modules only, what stands
    /// outside banks is averaged.
    ///
    /// # Errors
    /// If the rule cannot merge one of their parts.
    pub fn merged(&self, rule: &dyn MergeRule) -> Result<M> {
        let merged = self.mixture.merged(rule)?;
        if self.loose.is_empty() {
            return Ok(merged);
        }
        let loose = |model: &M| parameter::export(model, |info| self.loose.contains(&info.name));
        let experts: Vec<BTreeMap<String, HostTensor>> = self.experts.iter().map(loose).collect();
        let mut values = BTreeMap::new();
        for (name, first) in &experts[0] {
            let start = self.start.get(name).map(|tensor| tensor.values.as_slice());
            let own = (experts.iter()).map(|expert| moved(&expert[name].values, start, -1.0));
            let own: Vec<Vec<f32>> = own.collect();
            let own: Vec<&[f32]> = own.iter().map(Vec::as_slice).collect();
            let parameter = Parameter::of(name);
            let place = parameter.place();
            let combined = match rule.combine(&own, &place) {
                Err(MergeError::BothSides { .. }) => Uniform {}.combine(&own, &place),
                other => other,
            };
            let tensor = HostTensor {
                shape: first.shape.clone(),
                values: moved(&combined?, start, 1.0),
            };
            values.insert(name.clone(), tensor);
        }
        Ok(parameter::assign(merged, values)?)
    }
}

/// Values with a start added to or taken from them, where there is one.
fn moved(values: &[f32], start: Option<&[f32]>, sign: f32) -> Vec<f32> {
    match start {
        None => values.to_vec(),
        Some(start) => (values.iter().zip(start))
            .map(|(value, start)| value + sign * start)
            .collect(),
    }
}

/// One model with a mixture wherever the models have a module.
fn together<M: Adaptable>(models: &[M]) -> Result<M> {
    let held: Vec<Vec<Adaptation>> = models
        .iter()
        .map(|model| model.held().into_iter().map(|h| h.adaptation).collect())
        .collect();
    let mut mixture = models[0].clone();
    let slots = mixture.slots().into_iter().filter(|s| s.holds.is_some());
    for (i, slot) in slots.enumerate() {
        let at: Option<Vec<&Adaptation>> = held.iter().map(|modules| modules.get(i)).collect();
        let joined = at.and_then(|modules| Adaptation::together(&modules));
        let path = slot.path();
        *slot.holds = Some(joined.with_context(|| {
            format!("`{path}`: the runs' modules are not of one kind and shape")
        })?);
    }
    Ok(mixture)
}

/// A parameter's name, taken apart as a rule's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    module: String,
    bank: String,
    parameter: String,
    of_bank: bool,
}

impl Parameter {
    /// From the name that it has in a model with one module a site: `<module>.<bank>.0.weight`, or
    /// `<module>.<map>.weight` outside banks.
    pub fn of(name: &str) -> Self {
        let (rest, parameter) = name.rsplit_once('.').unwrap_or(("", name));
        let (owner, last) = rest.rsplit_once('.').unwrap_or(("", rest));
        let of_bank = name.contains(MARK) && last.parse::<usize>().is_ok();
        let (module, bank) = match of_bank {
            true => owner.rsplit_once('.').unwrap_or(("", owner)),
            false => (owner, last),
        };
        Self {
            module: module.to_owned(),
            bank: bank.to_owned(),
            parameter: parameter.to_owned(),
            of_bank,
        }
    }

    /// As rules know it.
    pub fn place(&self) -> Place<'_> {
        Place::bank(&self.module, &self.bank).of(&self.parameter)
    }

    /// Whether it belongs to a bank, whose matrices are `[in, out]` in memory.
    pub fn is_of_bank(&self) -> bool {
        self.of_bank
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let bank = Parameter::of("bert.encoder.layer.1.output.adamix.down.0.bias");
        assert!(bank.is_of_bank());
        assert_eq!(
            bank.place().in_expert(2),
            "bert.encoder.layer.1.output.adamix.down.2.bias"
        );
        let head = Parameter::of("classifier.out_proj.weight");
        assert!(!head.is_of_bank());
        assert_eq!(head.place().module, "classifier");
        assert_eq!(head.place().in_expert(1), "classifier.out_proj.1.weight");
        let gate = Parameter::of("bert.encoder.layer.1.output.adamix.gate.weight");
        assert!(!gate.is_of_bank());
        assert_eq!(
            Parameter::of("classifier.weight").place().bank,
            "classifier"
        );
    }
}
