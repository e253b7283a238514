//! What is trained, stored and served: parameters and bytes, said apart.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::parameter::ParameterInfo;

/// The path segment that marks a parameter of a mixture.
pub const MARK: &str = ".adamix.";

/// Parameter counts of an adapted model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Everything below the head that is no adaptation.
    pub backbone: usize,
    /// Adaptation parameters on sides with several experts.
    pub experts: usize,
    /// Adaptation parameters on sides with one projection.
    pub shared: usize,
    /// What routing policies learn: gone once merged.
    pub router: usize,
    /// The task head.
    pub head: usize,
    /// Adaptation parameters after merging, head excluded.
    pub merged: usize,
    /// All that training moves, head included.
    pub trained: usize,
    /// Parameters of the backbone that training moves (BitFit, full fine-tuning); also in `backbone`.
    pub unfrozen: usize,
}

impl Account {
    /// Counts a model's parameters; `is_head` tells the head's from the backbone's.
    pub fn new(parameters: &[ParameterInfo], is_head: impl Fn(&str) -> bool) -> Self {
        let mut account = Self::default();
        let mut sides: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for info in parameters {
            account.trained += if info.trainable { info.count() } else { 0 };
            if is_router(&info.name) {
                account.router += info.count();
            } else if let Some(side) = side(&info.name) {
                let (experts, count) = sides.entry(side).or_default();
                *experts += usize::from(info.name.ends_with(".weight"));
                *count += info.count();
            } else if is_head(&info.name) {
                account.head += info.count();
            } else {
                account.backbone += info.count();
                account.unfrozen += if info.trainable { info.count() } else { 0 };
            }
        }
        for (experts, count) in sides.into_values() {
            *if experts > 1 {
                &mut account.experts
            } else {
                &mut account.shared
            } += count;
            account.merged += count / experts.max(1);
        }
        account
    }

    /// All adaptation parameters during training, head excluded.
    pub fn adaptation(&self) -> usize {
        self.experts + self.shared + self.router
    }

    /// What the paper's #Param counts: adaptation parameters after merging, or the backbone's where those
    /// are trained. The head is not counted.
    pub fn tuned(&self) -> usize {
        self.merged + self.unfrozen
    }

    /// What one more task costs on disk in f32 once merged, head included.
    pub fn stored_bytes(&self) -> usize {
        4 * (self.tuned() + self.head)
    }

    /// All parameters that a served (merged) model runs.
    pub fn served(&self) -> usize {
        self.backbone + self.merged + self.head
    }
}

/// Whether a routing policy learns a parameter: `<site>.adamix.router.*`, with the part's name before it where a site has
/// named parts.
fn is_router(name: &str) -> bool {
    let own = name.split_once(MARK).map(|(_, own)| own);
    own.is_some_and(|own| own.split('.').any(|segment| segment == "router"))
}

/// `<site>.adamix.<side>` of an adaptation parameter, with the part's name before the side where a site
/// has named parts: all but the expert's number and the parameter's own name.
fn side(name: &str) -> Option<&str> {
    let start = name.find(MARK)? + MARK.len();
    let last = name.rmatch_indices('.').nth(1)?.0;
    let end = if last > start {
        last
    } else {
        start + name[start..].find('.')?
    };
    Some(&name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &str, shape: &[usize]) -> ParameterInfo {
        ParameterInfo {
            name: name.to_owned(),
            shape: shape.to_vec(),
            trainable: true,
            owner: String::new(),
        }
    }

    #[test]
    fn merged_counts_one_expert_of_each_side() {
        let mut parameters = vec![
            info("classifier.weight", &[2, 8]),
            info("embeddings.weight", &[10, 8]),
        ];
        parameters[1].trainable = false;
        for expert in 0..4 {
            parameters.push(info(
                &format!("layer.0.output.adamix.down.{expert}.weight"),
                &[2, 8],
            ));
            parameters.push(info(
                &format!("layer.0.output.adamix.down.{expert}.bias"),
                &[2],
            ));
        }
        parameters.push(info("layer.0.output.adamix.up.0.weight", &[8, 2]));
        parameters.push(info("layer.0.output.adamix.up.0.bias", &[8]));
        let account = Account::new(&parameters, |name| name.starts_with("classifier"));
        assert_eq!(
            (account.experts, account.shared, account.merged),
            (72, 24, 42)
        );
        assert_eq!((account.head, account.backbone), (16, 80));
        assert_eq!((account.tuned(), account.unfrozen), (42, 0));
        parameters[1].trainable = true;
        let account = Account::new(&parameters, |name| name.starts_with("classifier"));
        assert_eq!((account.tuned(), account.stored_bytes()), (122, 4 * 138));
    }

    #[test]
    fn named_parts_are_merged_each_on_its_own() {
        let mut parameters = Vec::new();
        for part in ["q", "v"] {
            for expert in 0..3 {
                let name = format!("h.0.attn.c_attn.adamix.{part}.down.{expert}.weight");
                parameters.push(info(&name, &[2, 8]));
            }
            let name = format!("h.0.attn.c_attn.adamix.{part}.up.0.weight");
            parameters.push(info(&name, &[8, 2]));
        }
        // The first part has the router of both.
        for map in ["gate", "threshold"] {
            let name = format!("h.0.attn.c_attn.adamix.q.router.{map}.weight");
            parameters.push(info(&name, &[3, 8]));
        }
        let account = Account::new(&parameters, |_| false);
        assert_eq!(
            (account.experts, account.shared, account.merged),
            (96, 32, 64)
        );
        assert_eq!(account.router, 48);
    }
}
