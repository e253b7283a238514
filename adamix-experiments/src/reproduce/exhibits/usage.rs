//! Which experts were drawn when, and how even the draws were: every layer of an AdaMix run.

use anyhow::Result;

use super::table1;
use crate::plot::{self, Curves, HeatMap, Series};
use crate::report::document::{Document, Figure, grouped};
use crate::report::record::Usage;
use crate::reproduce::basis::Basis;
use crate::reproduce::exhibit::Exhibit;
use crate::reproduce::methods;
use crate::reproduce::profile::Profile;
use crate::reproduce::view::View;
use crate::reproduce::want::Want;

/// The draws of experts.
#[derive(Clone, Copy, Debug)]
pub struct Usages;

impl Exhibit for Usages {
    fn name(&self) -> &'static str {
        "usage"
    }

    fn title(&self) -> &'static str {
        "Draws of experts, by layer and over time"
    }

    fn wants(&self, profile: &Profile) -> Result<Vec<Want>> {
        let first = table1::EXHIBIT.tasks(profile).into_iter().next();
        let want = |task: String| -> Result<Want> {
            Ok(Want {
                traced: true,
                ..table1::EXHIBIT.want(methods::row("adamix")?, &task)
            })
        };
        first.into_iter().map(want).collect()
    }

    fn documents(&self, _: &View<'_>) -> Result<Vec<Document>> {
        Ok(Vec::new())
    }

    fn figures(&self, view: &View<'_>) -> Result<Vec<Figure>> {
        let mut figures = Vec::new();
        for want in self.wants(view.profile)? {
            for record in view.records_of(&want)? {
                let Some(usage) = &record.usage else { continue };
                let mut basis = Basis::new(view.profile, "draws a layer");
                basis.add(record, draws(usage));
                let of = format!("AdaMix, {basis}");
                figures.push(heat_map(usage, &of)?);
                figures.push(entropy(usage, &of)?);
            }
        }
        Ok(figures)
    }
}

/// How often an expert of a layer's down projection was drawn in all: the same for every layer.
fn draws(usage: &Usage) -> usize {
    let of = |parts: &[Vec<u32>]| parts.iter().flatten().map(|n| *n as usize).sum();
    usage.sites.first().map_or(0, |(_, parts)| of(parts))
}

/// A site's layer: `layer 3`.
fn layer(site: &str) -> String {
    let number = site.split('.').find_map(|part| part.parse::<usize>().ok());
    number.map_or_else(|| site.to_owned(), |n| format!("layer {}", n + 1))
}

fn heat_map(usage: &Usage, of: &str) -> Result<Figure> {
    let shares = |parts: &[Vec<u32>]| -> Vec<Vec<f64>> {
        let experts = parts.first().map_or(0, Vec::len);
        let share = |part: &Vec<u32>, expert: usize| {
            f64::from(part[expert]) / f64::from(part.iter().sum::<u32>().max(1))
        };
        (0..experts)
            .map(|e| parts.iter().map(|part| share(part, e)).collect())
            .collect()
    };
    let layers: Vec<_> = usage
        .sites
        .iter()
        .map(|(site, parts)| (layer(site), shares(parts)))
        .collect();
    let largest = layers
        .iter()
        .flat_map(|(_, e)| e)
        .flatten()
        .copied()
        .fold(0.0, f64::max);
    let map = HeatMap {
        x_title: "step".to_owned(),
        x_ends: ("1".to_owned(), grouped(usage.steps)),
        value_title: "of the draws".to_owned(),
        largest,
        layers,
    };
    let caption = vec![format!(
        "{of}. Share of the draws of each down projection, from the first expert at the top."
    )];
    plot::figure(&map, "usage", "Draws of experts", caption, of)
}

/// Entropy of each part's shares over that of even shares: the mean over layers with its extremes.
fn entropy(usage: &Usage, of: &str) -> Result<Figure> {
    let parts = usage.sites.first().map_or(0, |(_, parts)| parts.len());
    let mut series = Series {
        name: "mean over layers".to_owned(),
        ..Series::default()
    };
    for part in 0..parts {
        let values: Vec<f64> = usage
            .sites
            .iter()
            .map(|(_, all)| evenness(&all[part]))
            .collect();
        let at = (part + 1) as f64 / parts as f64 * usage.steps as f64;
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let low = values.iter().copied().fold(1.0, f64::min);
        let high = values.iter().copied().fold(0.0, f64::max);
        series.points.push((at, mean));
        series.band.push((at, low, high));
    }
    let curves = Curves {
        title: String::new(),
        x_title: "step".to_owned(),
        y_title: "entropy / that of even draws".to_owned(),
        log: false,
        series: vec![series],
    };
    let caption = vec![format!(
        "{of}. Entropy of the draws in each part of the run, 1 where all experts are drawn alike; the band is the range over layers."
    )];
    plot::figure(&curves, "entropy", "Routing entropy", caption, of)
}

fn evenness(counts: &[u32]) -> f64 {
    let total: u32 = counts.iter().sum();
    if counts.len() < 2 || total == 0 {
        return 1.0;
    }
    let term = |count: &u32| {
        let share = f64::from(*count) / f64::from(total);
        if share > 0.0 {
            -share * share.ln()
        } else {
            0.0
        }
    };
    counts.iter().map(term).sum::<f64>() / (counts.len() as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_draws_have_an_evenness_of_one() {
        assert!((evenness(&[5, 5, 5, 5]) - 1.0).abs() < 1e-12);
        assert_eq!(evenness(&[7, 0]), 0.0);
        // -(3/4 ln 3/4 + 1/4 ln 1/4) / ln 2
        assert!((evenness(&[3, 1]) - 0.811_278).abs() < 1e-6);
        assert_eq!(layer("bert.encoder.layer.11.output"), "layer 12");
    }
}
