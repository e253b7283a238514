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
