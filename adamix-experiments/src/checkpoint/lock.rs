//! One program at a time in a run's folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use thiserror::Error;

/// The lock's file; it stays when the lock goes.
pub const FILE: &str = ".lock";

/// Another program is at work in the folder.
#[derive(Debug, Error)]
#[error("{}: another program is at work here{holder}; wait for it, or choose another folder", folder.display())]
pub struct Busy {
    folder: PathBuf,
    holder: String,
}

/// A lock on a folder, which the system lets go of when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Whether a program is at work in a folder.
    pub fn is_held(folder: &Path) -> bool {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(folder.join(FILE));
        file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// Takes a folder, or fails at once with [`Busy`].
    pub fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let mut file = open.with_context(|| format!("{}: cannot be written", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Only to be helpful: without it the message is shorter.
                let _ = file.read_to_string(&mut holder);
                let number = holder.trim().parse::<u32>();
                return Err(Busy {
                    folder: folder.to_owned(),
                    holder: number.map_or(String::new(), |n| format!(" (process {n})")),
                }
                .into());
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("{}: cannot be locked", path.display()));
            }
        }
        let process = std::process::id();
        let note = file
            .set_len(0)
            .and_then(|()| file.write_all(format!("{process}\n").as_bytes()));
        note.with_context(|| format!("{}: cannot be written", path.display()))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!Lock::is_held(folder.path()));
        let first = Lock::take(folder.path()).unwrap();
        assert!(Lock::is_held(folder.path()));
        let error = Lock::take(folder.path()).unwrap_err();
        assert!(error.is::<Busy>());
        let process = format!("process {}", std::process::id());
        assert!(error.to_string().contains(&process), "{error}");
        drop(first);
        assert!(!Lock::is_held(folder.path()));
        Lock::take(folder.path()).unwrap();
    }
}
