//! `adamix report`.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;

use crate::report::Records;
use crate::reproduce::{self, FOLDER, Profile};

/// Write all tables and figures again, from their records alone.
#[derive(Debug, Args)]
#[command(after_help = "\
The same records give the same bytes: delete the tables, run this, and nothing has changed.

Examples:
  adamix report
  adamix report --profile laptop --check")]
pub struct Report {
    /// Which profile; all whose folders are there without it.
    #[arg(long)]
    profile: Option<String>,
    /// Where the profiles' folders are.
    #[arg(long, value_name = "DIR", default_value = FOLDER)]
    results: PathBuf,
    /// Write nothing; fail if a file is missing or is not what its records give.
    #[arg(long)]
    check: bool,
}

impl Report {
    pub fn run(self) -> Result<()> {
        let names = match &self.profile {
            Some(name) => vec![name.as_str()],
            None => Profile::names(),
        };
        let mut found = 0;
        for name in names {
            let profile = Profile::named(name)?;
            let folder = self.results.join(name);
            if self.profile.is_none() && !folder.join("records").is_dir() {
                continue;
            }
            found += 1;
            let records = Records::read(&folder)?;
            reproduce::verify(&records)?;
            let files = reproduce::render(&profile, &reproduce::exhibits(), &records)?;
            if self.check {
                let wrong = reproduce::altered(&folder, &files)?;
                ensure!(
                    wrong.is_empty(),
                    "{}: not what the records give: {}; run `adamix report`",
                    folder.display(),
                    wrong.join(", ")
                );
                say!(
                    "{}: {} files are what the records give",
                    folder.display(),
                    files.len()
                )?;
            } else {
                let written = reproduce::publish(&folder, &files)?;
                say!(
                    "{}: {written} files from {} records",
                    folder.display(),
                    records.iter().count()
                )?;
            }
        }
        ensure!(
            found > 0,
            "{}: no profile has records there",
            self.results.display()
        );
        Ok(())
    }
}
