//! Table 4: DART on GPT-2 medium.

use crate::reproduce::grid::{Grid, Source};

/// DART, GPT-2 medium.
pub const EXHIBIT: Grid = Grid {
    published: "table4",
    title: "DART, GPT-2 medium",
    rows: &[
        ("full", Source::Runs),
        ("adapter-l-small", Source::Runs),
        ("adapter-l", Source::Runs),
        ("top2", Source::Runs),
        ("prefix-layer", Source::Runs),
        ("lora", Source::Runs),
        ("adamix-adapter", Source::Runs),
        ("adamix-lora", Source::Runs),
    ],
    average: false,
    notes: &[],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Origin, Records};
    use crate::reproduce::exhibit::Exhibit;
    use crate::reproduce::profile::Profile;
    use crate::reproduce::view::View;

    #[test]
    fn a_profile_without_its_task_has_the_papers_rows_alone() {
        for (name, planned) in [("smoke", false), ("laptop", true), ("paper", true)] {
            let view = View {
                profile: &Profile::named(name).unwrap(),
                records: &Records::default(),
            };
            let document = EXHIBIT.documents(&view).unwrap().remove(0);
            let ours = document.lines.iter().any(|l| l.origin == Origin::Ours);
            assert_eq!(ours, planned, "{name}");
            let told = document
                .caption
                .iter()
                .filter(|line| line.contains("Not planned in this profile."));
            assert_eq!(told.count(), usize::from(!planned), "{name}");
        }
    }
}
