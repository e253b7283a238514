//! From records to files: tables, figures, and the page of both.

use std::path::Path;

use adamix_models::hub::write;
use anyhow::Result;

use super::exhibit::Exhibit;
use super::profile::Profile;
use super::view::{View, task_named};
use crate::report::html::{self, Page};
use crate::report::{Document, Figure, Records, csv, latex, markdown};

/// Where results lie, below which every profile has its folder.
pub const FOLDER: &str = "paper-results";

/// A file to be written: its path below the profile's folder, and its bytes.
pub type Rendered = (String, Vec<u8>);

/// Renders exhibits from records: a pure function of both.
///
/// # Errors
/// If a record contradicts itself, or a figure cannot be drawn.
pub fn render(
    profile: &Profile,
    exhibits: &[&dyn Exhibit],
    records: &Records,
) -> Result<Vec<Rendered>> {
    let view = View { profile, records };
    let mut documents: Vec<Document> = Vec::new();
    let mut figures: Vec<Figure> = Vec::new();
    for exhibit in exhibits {
        documents.extend(exhibit.documents(&view)?);
        for figure in exhibit.figures(&view)? {
            if figures.iter().all(|known| known.name != figure.name) {
                figures.push(figure);
            }
        }
    }
    let mut files = Vec::new();
    for document in &documents {
        let mut add = |extension: &str, text: String| {
            files.push((
                format!("tables/{}.{extension}", document.name),
                text.into_bytes(),
            ));
        };
        add("md", markdown::render(document));
        add("csv", csv::render(document));
        add("tex", latex::render(document));
    }
    for figure in &figures {
        let [light, dark] = &figure.pixels;
        let mut add = |suffix: &str, bytes: &[u8]| {
            files.push((format!("figures/{}{suffix}", figure.name), bytes.to_vec()));
        };
        add(".svg", figure.light.as_bytes());
        add("-dark.svg", figure.dark.as_bytes());
        add(".png", light);
        add("-dark.png", dark);
    }
    let title = format!("AdaMix, reproduced: profile {}", profile.name);
    let page = Page {
        title: &title,
        introduction: &profile.about,
        documents: &documents,
        figures: &figures,
        records: records.iter().collect(),
    };
    files.push(("report.html".to_owned(), html::render(&page).into_bytes()));
    Ok(files)
}

/// Writes what [`render`] gives below `folder`, and returns how many files that were.
pub fn publish(folder: &Path, files: &[Rendered]) -> Result<usize> {
    for (name, bytes) in files {
        write::atomic(&folder.join(name), bytes)?;
    }
    Ok(files.len())
}

/// The files that are missing or are not what [`render`] gives.
///
/// # Errors
/// If a file cannot be read.
pub fn altered(folder: &Path, files: &[Rendered]) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for (name, bytes) in files {
        let path = folder.join(name);
        if !path.is_file() || std::fs::read(&path)? != *bytes {
            wrong.push(name.clone());
        }
    }
    Ok(wrong)
}

/// Recomputes the scores of every record from its outputs.
///
/// # Errors
/// If a record states another score than its outputs give.
pub fn verify(records: &Records) -> Result<()> {
    for record in records.iter() {
        match records.gold(record) {
            Some(gold) => record.verify(task_named(&gold.task)?, gold)?,
            None => record.verify_texts()?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reproduce::{Choice, exhibits, plan};

    /// The numbers in rows of ours that link to no run, as `table: row`.
    fn unlinked(html: &str) -> Vec<String> {
        let mut found = Vec::new();
        for section in html.split("<section id=\"").skip(1) {
            let name = section.split('"').next().unwrap();
            for row in section.split("<tr class=\"ours\">").skip(1) {
                let row = row.split("</tr>").next().unwrap();
                let mut cells = row.split("<td class=\"number\"");
                let label = cells.next().unwrap();
                // The first number beside a claim is the paper's.
                let own = cells.skip(usize::from(name == "claims"));
                let shown = own.filter_map(|cell| Some(cell.split_once('>')?.1));
                let number = |cell: &&str| {
                    cell.trim_start_matches('+')
                        .trim_start_matches("&lt;")
                        .starts_with(|c: char| c.is_ascii_digit() || c == '-')
                };
                let plain = shown
                    .filter(|cell| number(cell) || cell.starts_with("<span title"))
                    .filter(|cell| !cell.contains("<a href=\"#run-"));
                found.extend(plain.map(|_| format!("{name}: {label}")));
            }
        }
        found
    }

    #[test]
    fn every_number_of_ours_links_to_its_runs() {
        let row = |cell: &str| {
            format!(
                "<section id=\"t\"><tr class=\"ours\"><th>A</th><td class=\"number\" data-sort=\"1\">{cell}</td></tr>"
            )
        };
        assert_eq!(unlinked(&row("1.0")), ["t: <th>A</th>"]);
        assert!(unlinked(&row("1.0<sup><a href=\"#run-a\">1</a></sup>")).is_empty());

        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../paper-results/laptop");
        let records = Records::read(&folder).unwrap();
        assert!(records.iter().next().is_some(), "no committed records");
        let profile = Profile::named("laptop").unwrap();
        // What is measured of files and of processes has no run, base models have records of their own, and table 15 has
        // settings of runs that are planned.
        let without = ["storage", "base-model", "table15"];
        let of_runs: Vec<_> = exhibits()
            .into_iter()
            .filter(|exhibit| !without.contains(&exhibit.name()))
            .collect();
        let files = render(&profile, &of_runs, &records).unwrap();
        let (_, page) = files.last().unwrap();
        let page = std::str::from_utf8(page).unwrap();
        assert!(page.contains("<a href=\"#run-"));
        assert_eq!(unlinked(page), [""; 0]);
    }

    /// A queue of hours must not end in an error.
    #[test]
    fn every_profile_is_rendered_and_planned() {
        for name in Profile::names() {
            let profile = Profile::named(name).unwrap();
            let files = render(&profile, &exhibits(), &Records::default()).unwrap();
            let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
            for name in ["tables/table1.md", "tables/table6.csv", "report.html"] {
                assert!(names.contains(&name), "{names:?}");
            }
            for exhibit in exhibits() {
                let wants = exhibit.wants(&profile).unwrap().len();
                let jobs = plan(&profile, &[exhibit], &Choice::default()).unwrap();
                assert_eq!(jobs.is_empty(), wants == 0, "{name} {}", exhibit.name());
                // What table 15 shows is measured, not run.
                let printed = name == "paper"
                    && exhibit.name().starts_with("table")
                    && exhibit.name() != "table15";
                assert!(wants > 0 || !printed, "{name} {}", exhibit.name());
            }
        }
    }
}
