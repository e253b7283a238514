//! Who works at which run: a lock for the workers of one machine, a heartbeat for those of others.
//!
//! A claim is the file `claims/<id>.json` of the store, which its owner keeps locked and rewrites every few
//! seconds. On the owner's machine the lock tells at once whether the owner lives. Elsewhere, where a file system
//! may keep the locks of a machine that is gone or know none, a claim counts as left when its beat has not changed
//! for a minute *of the watcher's own clock*: no two clocks are compared. An owner that finds another's name in
//! its claim, because it was suspended for too long, ends at once.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// How often a run may lose its worker before it counts as failed: something in it kills them.
const DEATHS: u32 = 5;

/// What a claim's file says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    state: RecordState,
    host: String,
    pid: u32,
    /// Seconds since 1970, for people to read.
    since: u64,
    beat: u64,
    /// How often its worker vanished.
    deaths: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RecordState {
    Running,
    Stopped,
    Failed,
}

impl Record {
    fn owner(&self) -> String {
        format!("process {} on {}", self.pid, self.host)
    }

    fn is_of(&self, other: &Self) -> bool {
        (&self.host, self.pid, self.since) == (&other.host, other.pid, other.since)
    }
}

/// The claims of a store.
#[derive(Debug)]
pub struct Claims {
    folder: PathBuf,
    host: String,
    beat: Duration,
    patience: Duration,
    /// Claims of other machines: what they said, and since when.
    watched: Mutex<BTreeMap<String, (Vec<u8>, Instant)>>,
}

/// What came of trying to take a run.
#[derive(Debug)]
pub enum Attempt {
    /// It is ours.
    Mine(Claim),
    /// Another worker is at it.
    Busy(String),
    /// It failed before, with this message.
    Failed(String),
}

/// What a claim looks like to somebody who does not want it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nobody works at the run.
    Free,
    /// Somebody does.
    Running(String),
    /// Somebody did, and stopped in good order or vanished.
    Interrupted(String),
    /// It failed, with this message.
    Failed(String),
}

impl Claims {
    /// The claims of the store.
    pub fn new(store: &Path) -> Self {
        Self::with_times(store, Duration::from_secs(5), Duration::from_secs(60))
    }

    /// With a beat and a patience of one's own; all workers of a store should have the same.
    pub fn with_times(store: &Path, beat: Duration, patience: Duration) -> Self {
        Self {
            folder: store.join("claims"),
            host: host_name(),
            beat,
            patience,
            watched: Mutex::default(),
        }
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    /// Tries to take a run. A run that failed is taken only if `retry` says so.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn take(&self, id: &str, retry: bool) -> Result<Attempt> {
        let path = self.path(id);
        let unwritable = || format!("{}: cannot be written", path.display());
        std::fs::create_dir_all(&self.folder).with_context(unwritable)?;
        let mut file = open(&path).with_context(unwritable)?;
        let locked = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("{}: cannot be locked", path.display()));
            }
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let before: Option<Record> = serde_json::from_slice(&bytes).ok();
        let mut deaths = before.as_ref().map_or(0, |record| record.deaths);
        match &before {
            Some(record) if record.state == RecordState::Running => {
                let elsewhere = record.host != self.host;
                let left = if elsewhere {
                    self.has_gone_quiet(id, &bytes)
                } else {
                    locked
                };
                if !left {
                    return Ok(Attempt::Busy(record.owner()));
                }
                deaths += 1;
                if !locked {
                    // The file system still keeps the lock of a machine that is gone: leave it the old file,
                    // unless somebody else is just taking it.
                    std::thread::sleep(self.beat);
                    if std::fs::read(&path).ok().as_ref() != Some(&bytes) {
                        return Ok(Attempt::Busy("another worker".to_owned()));
                    }
                    std::fs::remove_file(&path).with_context(unwritable)?;
                    file = open(&path).with_context(unwritable)?;
                    if file.try_lock().is_err() {
                        return Ok(Attempt::Busy("another worker".to_owned()));
                    }
                }
            }
            _ if !locked => return Ok(Attempt::Busy("another worker".to_owned())),
            Some(record) if record.state == RecordState::Failed && !retry => {
                return Ok(Attempt::Failed(record.message.clone().unwrap_or_default()));
            }
            Some(record) if record.state == RecordState::Failed => deaths = 0,
            _ => {}
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let record = Record {
            state: RecordState::Running,
            host: self.host.clone(),
            pid: std::process::id(),
            since: now.map_or(0, |d| d.as_secs()),
            beat: 0,
            deaths,
            message: None,
        };
        let claim = Claim::start(file, path, record, self.beat)?;
        if deaths >= DEATHS && !retry {
            let message = format!("its worker vanished {deaths} times; is there memory enough?");
            claim.fail(&message)?;
            return Ok(Attempt::Failed(message));
        }
        Ok(Attempt::Mine(claim))
    }

    /// How a claim looks, without taking it.
    pub fn look(&self, id: &str) -> Seen {
        let path = self.path(id);
        let Ok(bytes) = std::fs::read(&path) else {
            return Seen::Free;
        };
        let Ok(record) = serde_json::from_slice::<Record>(&bytes) else {
            return Seen::Free;
        };
        match record.state {
            RecordState::Failed => Seen::Failed(record.message.unwrap_or_default()),
            RecordState::Stopped => Seen::Interrupted(format!("stopped, {}", record.owner())),
            RecordState::Running if self.may_live(&path, &record) => Seen::Running(record.owner()),
            RecordState::Running => Seen::Interrupted(format!("left by {}", record.owner())),
        }
    }

    /// On this machine the lock tells; elsewhere the age of the last beat, which is good enough for display.
    fn may_live(&self, path: &Path, record: &Record) -> bool {
        if record.host == self.host {
            let free = File::open(path).is_ok_and(|file| file.try_lock_shared().is_ok());
            return !free;
        }
        let age = path
            .metadata()
            .and_then(|m| m.modified())
            .map(|at| at.elapsed().unwrap_or_default());
        age.is_ok_and(|age| age < self.patience)
    }

    /// Whether a claim of another machine has said the same for as long as we are patient.
    fn has_gone_quiet(&self, id: &str, bytes: &[u8]) -> bool {
        let mut watched = self.watched.lock().expect("no holder panics");
        let (said, since) = watched
            .entry(id.to_owned())
            .or_insert_with(|| (bytes.to_owned(), Instant::now()));
        if said != bytes {
            (*said, *since) = (bytes.to_owned(), Instant::now());
        }
        since.elapsed() >= self.patience
    }
}

/// A run of ours. Dropped without a word, it counts as left by a worker that vanished.
#[derive(Debug)]
pub struct Claim {
    file: File,
    path: PathBuf,
    record: Record,
    /// Dropping it ends the heart.
    alive: Option<Sender<()>>,
    heart: Option<JoinHandle<()>>,
}

impl Claim {
    fn start(mut file: File, path: PathBuf, record: Record, beat: Duration) -> Result<Self> {
        write(&mut file, &record)
            .with_context(|| format!("{}: cannot be written", path.display()))?;
        let (alive, ended) = channel();
        let (mut hand, of, place) = (file.try_clone()?, record.clone(), path.clone());
        let heart = std::thread::Builder::new()
            .name("heartbeat".to_owned())
            .spawn(move || keep_beating(&mut hand, of, &place, beat, &ended))?;
        Ok(Self {
            file,
            path,
            record,
            alive: Some(alive),
            heart: Some(heart),
        })
    }

    /// The run is done: the claim goes.
    pub fn done(mut self) -> Result<()> {
        self.still();
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("{}: cannot be removed", self.path.display()))
            }
            _ => Ok(()),
        }
    }

    /// The run failed: the claim says why, and nobody takes it unasked.
    pub fn fail(self, message: &str) -> Result<()> {
        self.close(RecordState::Failed, Some(message.to_owned()))
    }

    /// The run was stopped in good order and may be taken at once.
    pub fn stop(self) -> Result<()> {
        self.close(RecordState::Stopped, None)
    }

    fn close(mut self, state: RecordState, message: Option<String>) -> Result<()> {
        self.still();
        self.record.state = state;
        self.record.message = message;
        write(&mut self.file, &self.record)
            .with_context(|| format!("{}: cannot be written", self.path.display()))
    }

    /// Ends the heartbeat, so that nobody else writes the file.
    fn still(&mut self) {
        drop(self.alive.take());
        if let Some(heart) = self.heart.take() {
            let _ = heart.join();
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.still();
    }
}

fn keep_beating(
    file: &mut File,
    mut record: Record,
    path: &Path,
    beat: Duration,
    ended: &Receiver<()>,
) {
    while ended.recv_timeout(beat) == Err(RecvTimeoutError::Timeout) {
        let said = std::fs::read(path).ok();
        let said = said.and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
        if let Some(other) = said.filter(|said| !said.is_of(&record)) {
            // Writing on would mix two workers' files.
            eprintln!(
                "error: {}: taken over by {} while this process was suspended",
                path.display(),
                other.owner()
            );
            std::process::exit(1);
        }
        record.beat += 1;
        // A full disk or a slow server is no reason to give up the run; the next beat may succeed.
        let _ = write(file, &record);
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

/// In place, since the lock belongs to the file and not to its name.
fn write(file: &mut File, record: &Record) -> std::io::Result<()> {
    let mut bytes = serde_json::to_vec(record)?;
    bytes.push(b'\n');
    file.rewind()?;
    file.write_all(&bytes)?;
    file.set_len(bytes.len() as u64)?;
    file.sync_data()
}

fn host_name() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let asked = || {
        let output = std::process::Command::new("uname")
            .arg("-n")
            .output()
            .ok()?;
        String::from_utf8(output.stdout).ok()
    };
    let name = kernel.or_else(asked).unwrap_or_default();
    name.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(store: &Path, host: &str) -> Claims {
        let times = (Duration::from_millis(10), Duration::from_millis(400));
        Claims {
            host: host.to_owned(),
            ..Claims::with_times(store, times.0, times.1)
        }
    }

    fn mine(attempt: Attempt) -> Claim {
        match attempt {
            Attempt::Mine(claim) => claim,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_run_has_one_owner_until_it_is_let_go() {
        let store = tempfile::tempdir().unwrap();
        let (here, elsewhere) = (claims(store.path(), "a"), claims(store.path(), "b"));
        let claim = mine(here.take("r", false).unwrap());
        assert!(matches!(here.look("r"), Seen::Running(_)));
        for other in [&here, &elsewhere] {
            assert!(matches!(other.take("r", true).unwrap(), Attempt::Busy(_)));
        }
        claim.stop().unwrap();
        assert!(matches!(elsewhere.look("r"), Seen::Interrupted(_)));
        mine(elsewhere.take("r", false).unwrap()).done().unwrap();
        assert_eq!(here.look("r"), Seen::Free);
    }

    #[test]
    fn a_failed_run_is_taken_only_when_asked_for() {
        let store = tempfile::tempdir().unwrap();
        let claims = claims(store.path(), "a");
        mine(claims.take("r", false).unwrap())
            .fail("no data")
            .unwrap();
        assert_eq!(claims.look("r"), Seen::Failed("no data".to_owned()));
        assert!(matches!(claims.take("r", false).unwrap(), Attempt::Failed(m) if m == "no data"));
        mine(claims.take("r", true).unwrap());
    }

    #[test]
    fn a_worker_that_vanished_is_replaced_at_once_here_and_not_for_ever() {
        let store = tempfile::tempdir().unwrap();
        let claims = claims(store.path(), "a");
        for _ in 0..DEATHS {
            drop(mine(claims.take("r", false).unwrap()));
            assert!(matches!(claims.look("r"), Seen::Interrupted(_)));
        }
        assert!(
            matches!(claims.take("r", false).unwrap(), Attempt::Failed(m) if m.contains("5 times"))
        );
    }

    #[test]
    fn a_beating_claim_elsewhere_is_busy_and_a_silent_one_is_taken_over() {
        let store = tempfile::tempdir().unwrap();
        let (here, elsewhere) = (claims(store.path(), "a"), claims(store.path(), "b"));
        let claim = mine(here.take("r", false).unwrap());
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(900) {
            assert!(matches!(
                elsewhere.take("r", false).unwrap(),
                Attempt::Busy(_)
            ));
            std::thread::sleep(Duration::from_millis(20));
        }
        // Its heart stops, its lock stays: the machine is gone, the server does not know it.
        let mut claim = claim;
        claim.still();
        assert!(matches!(
            elsewhere.take("r", false).unwrap(),
            Attempt::Busy(_)
        ));
        std::thread::sleep(Duration::from_millis(450));
        let taken = mine(elsewhere.take("r", false).unwrap());
        assert!(matches!(here.take("r", false).unwrap(), Attempt::Busy(_)));
        taken.done().unwrap();
    }

    #[test]
    fn a_torn_claim_is_free() {
        let store = tempfile::tempdir().unwrap();
        let claims = claims(store.path(), "a");
        std::fs::create_dir(store.path().join("claims")).unwrap();
        std::fs::write(store.path().join("claims/r.json"), "{\"state\":\"runn").unwrap();
        assert_eq!(claims.look("r"), Seen::Free);
        mine(claims.take("r", false).unwrap());
    }
}
