//! Files that a verb is to write, looked at before the work is done.

use std::path::Path;

use anyhow::{Result, ensure};

/// Refuses an output that cannot be a file, or that is one of the inputs.
pub fn check(output: &Path, inputs: &[&Path]) -> Result<()> {
    ensure!(
        !output.is_dir(),
        "{}: is a folder; name a file",
        output.display()
    );
    // The file that is written takes the place of what is there.
    ensure!(
        output.is_file() || output.symlink_metadata().is_err(),
        "{}: is no plain file; name one",
        output.display()
    );
    let same = |input: &&&Path| {
        let whole = |path: &Path| path.canonicalize().ok();
        whole(output).is_some_and(|found| whole(input) == Some(found))
    };
    ensure!(
        !inputs.iter().any(|input| same(&input)),
        "{}: is the input; choose another output",
        output.display()
    );
    Ok(())
}

/// Refuses a place for a new folder that has anything in it, or is a file.
pub fn check_folder(out: &Path) -> Result<()> {
    let occupied = match out.read_dir() {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => out.symlink_metadata().is_ok(),
    };
    ensure!(
        !occupied,
        "{}: is a file, or not empty; choose another --out",
        out.display()
    );
    Ok(())
}
