//! Fisher-weighted averaging (Matena and Raffel 2022).

use std::collections::BTreeMap;

use super::{MergeError, MergeRule, Place};

/// Each value is averaged with the weights `F_i`, the diagonal of the Fisher information of expert `i`'s
/// predictions: an expert counts where its predictions depend on the value.
///
/// Permuting experts and their information together changes nothing; the identity for one expert; the
/// plain mean where no expert has any information.
#[derive(Clone, Debug, PartialEq)]
pub struct Fisher {
    /// The information of each parameter, by its name in each expert, in memory layout.
    pub information: BTreeMap<String, Vec<f32>>,
}

impl MergeRule for Fisher {
    fn name(&self) -> &str {
        "fisher"
    }

    fn combine(&self, experts: &[&[f32]], place: &Place<'_>) -> Result<Vec<f32>, MergeError> {
        let information = (0..experts.len()).map(|i| {
            let name = place.in_expert(i);
            let found = self.information.get(&name);
            let found = found.filter(|f| f.len() == experts[i].len());
            found.ok_or_else(|| MergeError::NotGathered {
                rule: self.name().to_owned(),
                name,
            })
        });
        let information: Vec<&Vec<f32>> = information.collect::<Result<_, _>>()?;
        // A floor relative to the parameter's mean information: the plain mean where there is none.
        let total: f64 = information
            .iter()
            .flat_map(|f| f.iter())
            .map(|v| f64::from(*v))
            .sum();
        let count = (experts.len() * experts[0].len()).max(1) as f64;
        let floor = (1e-6 * total / count).max(f64::MIN_POSITIVE * 1e30);
        let merged = (0..experts[0].len()).map(|j| {
            let (mut sum, mut weights) = (0.0, 0.0);
            for (values, information) in experts.iter().zip(&information) {
                let weight = f64::from(information[j]) + floor;
                sum += weight * f64::from(values[j]);
                weights += weight;
            }
            (sum / weights) as f32
        });
        Ok(merged.collect())
    }
}
