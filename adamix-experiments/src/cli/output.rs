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

/// Refuses a place for a new folder that has anything in it, is a file, or cannot be put in place by renaming.
pub fn check_folder(out: &Path) -> Result<()> {
    ensure!(
        out.file_name().is_some() && !is_mount_point(out),
        "{}: a new folder cannot take its place; name one in it",
        out.display()
    );
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

#[cfg(unix)]
fn is_mount_point(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| path.metadata().ok().map(|metadata| metadata.dev());
    folder.is_dir() && device(folder) != device(&folder.join(".."))
}

#[cfg(not(unix))]
fn is_mount_point(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_folder_is_named_where_it_can_be_put() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("empty")).unwrap();
        std::fs::write(at("file"), "").unwrap();
        check_folder(&at("new")).unwrap();
        check_folder(&at("empty")).unwrap();
        let refused = |path: &Path| check_folder(path).unwrap_err().to_string();
        assert!(refused(&at("file")).contains("is a file"));
        assert!(refused(folder.path()).contains("not empty"));
        for place in ["..", "/", "/proc"] {
            assert!(
                refused(Path::new(place)).contains("name one in it"),
                "{place}"
            );
        }
    }
}
