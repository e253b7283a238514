//! The sizes of the paper profile against the printed counts: where the paper prints a count and no size, the profile's
//! size has to come to it.

use super::estimate::Shape;
use super::methods;
use super::profile::Profile;
use super::selector::Place;
use crate::config::{Adaptation, Kind, RunConfig};
use crate::report::Published;
use crate::report::published::PublishedTable;

/// Rows whose printed count no size comes to; the profile has the nearest.
const NEAREST: [(&str, &str); 4] = [
    ("table3", "houlsby"),
    ("table3", "prefix-layer"),
    ("table4", "prefix-layer"),
    ("table5", "prefix"),
];

/// What a method trains of a model of this shape, less its head; none where that is the model itself.
fn count(adaptation: &Adaptation, shape: Shape) -> Option<usize> {
    let (layers, hidden) = (shape.layers, shape.hidden);
    let (width, rank, length) = (adaptation.bottleneck, adaptation.rank, adaptation.length);
    let adapter = layers * (2 * hidden * width + width + hidden);
    let low_rank = layers * 2 * (2 * hidden * rank);
    let prefix = layers * 2 * length * hidden;
    // A gate is a map from a token to a number.
    let gate = layers * (hidden + 1);
    let norms = layers * 2 * hidden;
    Some(match adaptation.method.kind {
        Kind::Pfeiffer => adapter,
        Kind::Houlsby => 2 * adapter,
        // A norm of its own behind each.
        Kind::Lin => adapter + norms,
        Kind::Lora => low_rank,
        Kind::Prefix => prefix,
        Kind::PreLayer => prefix / 2,
        Kind::UnipeltAp => adapter + prefix + 2 * gate,
        Kind::UnipeltApl => adapter + prefix + low_rank + 4 * gate,
        // Of attention four, of the feed-forward block two, of norms two a layer; the norm of embeddings, the pooler.
        Kind::BitFit => layers * (5 * hidden + shape.inner) + norms + 2 * hidden,
        Kind::Top => {
            let maps = 4 * hidden * hidden + 2 * hidden * shape.inner;
            adaptation.layers * (maps + 5 * hidden + shape.inner + 4 * hidden)
        }
        _ => return None,
    })
}

fn config(profile: &Profile, table: &PublishedTable, key: &str) -> RunConfig {
    let place = Place {
        exhibit: &table.name,
        base: &table.base,
        row: &methods::row(key).unwrap(),
        task: match table.name.as_str() {
            "table3" => "e2e",
            "table4" => "dart",
            "table5" => "webnlg",
            _ => "mrpc",
        },
    };
    profile.config(place, 1).unwrap()
}

#[test]
fn planned_sizes_come_to_the_printed_counts() {
    let profile = Profile::named("paper").unwrap();
    let mut nearest = Vec::new();
    for table in &Published::get().tables {
        for row in &table.rows {
            let name = format!("{} {}", table.name, row.key);
            let (Some(printed), Some(planned)) = (&row.parameters, row.planned) else {
                // Every printed count is checked, but that of the model itself.
                let checked = row.parameters.is_none() || row.count.is_some();
                assert!(checked || row.key == "full", "{name}");
                continue;
            };
            let adaptation = config(&profile, table, &row.key).adaptation;
            let shape = Shape::named(&table.base).unwrap();
            assert_eq!(count(&adaptation, shape), Some(planned), "{name}");
            let number = printed.trim_end_matches('M');
            let digits = number.split_once('.').map_or(0, |(_, d)| d.len());
            if format!("{:.digits$}M", planned as f64 / 1e6) == *printed {
                continue;
            }
            // One step of the size either way is farther off.
            nearest.push((table.name.as_str(), row.key.as_str()));
            let off = |count: usize| (count as f64 / 1e6 - number.parse::<f64>().unwrap()).abs();
            for step in [-1, 1] {
                let mut other = adaptation.clone();
                other.bottleneck = other.bottleneck.checked_add_signed(step).unwrap();
                other.length = other.length.checked_add_signed(step).unwrap();
                let other = count(&other, shape).unwrap();
                assert!(off(planned) < off(other), "{name}: {planned} {other}");
            }
        }
    }
    assert_eq!(nearest, NEAREST);
}
