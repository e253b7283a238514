//! Faults on demand, so that a test can show what a run survives.
//!
//! `ADAMIX_FAULT=POINT`, `POINT@N` or `POINT@N=ACTION` makes the process fail when it reaches the named
//! point for the Nth time (the first, if not said). `any` stands for every point. Actions: `die` (the
//! default) ends the process at once, without a destructor and without a flush, as SIGKILL would; `full`
//! makes a write fail as on a full disk; `hang` stays there for ever; `term` sends SIGTERM to itself and goes on;
//! `strike` is for the point's own code to carry out.

use std::io::{Error, ErrorKind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The environment variable.
pub const VARIABLE: &str = "ADAMIX_FAULT";

#[derive(Debug, PartialEq)]
struct Plan {
    point: String,
    at: usize,
    action: Action,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    Die,
    Full,
    Hang,
    Term,
    Strike,
}

impl Plan {
    fn parse(text: &str) -> Option<Self> {
        let (place, action) = text.split_once('=').unwrap_or((text, "die"));
        let (point, at) = place.split_once('@').unwrap_or((place, "1"));
        let action = match action {
            "die" => Action::Die,
            "full" => Action::Full,
            "hang" => Action::Hang,
            "term" => Action::Term,
            "strike" => Action::Strike,
            _ => return None,
        };
        Some(Self {
            point: point.to_owned(),
            at: at.parse().ok()?,
            action,
        })
    }

    fn is_for(&self, point: &str) -> bool {
        self.point == point || self.point == "any"
    }
}

/// The action that is due at this point now.
fn due(point: &str) -> Option<Action> {
    static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
    static REACHED: AtomicUsize = AtomicUsize::new(0);
    let read = || Plan::parse(&std::env::var(VARIABLE).ok()?);
    let plan = PLAN.get_or_init(read).as_ref()?;
    let hit = plan.is_for(point) && REACHED.fetch_add(1, Ordering::Relaxed) + 1 == plan.at;
    hit.then_some(plan.action)
}

/// A place where a process may die, hang or be asked to stop.
pub fn point(name: &str) {
    carry_out(due(name));
}

/// The same, where a write may fail too.
///
/// # Errors
/// If the disk is to look full.
pub fn write(name: &str) -> std::io::Result<()> {
    match due(name) {
        Some(Action::Full) => Err(Error::from(ErrorKind::StorageFull)),
        action => {
            carry_out(action);
            Ok(())
        }
    }
}

fn carry_out(action: Option<Action>) {
    match action {
        Some(Action::Die) => std::process::abort(),
        Some(Action::Hang) => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        Some(Action::Term) => {
            let mut kill = std::process::Command::new("kill");
            let sent = kill.arg("-TERM").arg(std::process::id().to_string());
            let _ = sent.status();
        }
        _ => {}
    }
}

/// Whether something of the point's own is to go wrong now, such as a loss that is not finite.
pub fn strikes(name: &str) -> bool {
    due(name) == Some(Action::Strike)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_names_point_time_and_action() {
        let plan = |text| Plan::parse(text).map(|p| (p.point, p.at, p.action));
        assert_eq!(plan("step"), Some(("step".to_owned(), 1, Action::Die)));
        assert_eq!(
            plan("rename run.toml@2=full"),
            Some(("rename run.toml".to_owned(), 2, Action::Full))
        );
        assert_eq!(plan("step@x"), None);
        assert_eq!(plan("step=explode"), None);
    }
}
