//! The program as a process that is watched, signalled and killed.

#![allow(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// The program.
pub fn adamix() -> Command {
    Command::new(env!("CARGO_BIN_EXE_adamix"))
}

/// All files under a folder, with what is in them, in the order of their paths.
pub fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let inside = path.strip_prefix(folder).unwrap().to_owned();
                found.push((inside, std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// Sends a signal by its name.
pub fn signal(child: &Child, name: &str) {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{name}")).arg(child.id().to_string());
    assert!(kill.status().unwrap().success());
}

/// Waits until a file is there.
pub fn wait_for(file: &Path) {
    wait(|| file.is_file(), &file.display().to_string());
}

/// Waits until a process holds a run's folder.
pub fn wait_until_at_work(child: &Child, run: &Path) {
    let holds = || {
        let holder = std::fs::read_to_string(run.join(".lock"));
        holder.is_ok_and(|text| text.trim() == child.id().to_string())
    };
    wait(holds, "the lock");
}

fn wait(until: impl Fn() -> bool, what: &str) {
    let clock = Instant::now();
    while !until() {
        assert!(
            clock.elapsed() < Duration::from_secs(60),
            "{what} never came"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
