//! The executor of this machine: several runs side by side, each a process of its own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::claim::{Attempt, Claims, Seen};
use super::file::SweepFile;
use super::folder::SweepFolder;
use super::memory;
use super::outcome::Outcome;
use super::plan::{Spec, plan};
use super::view::View;
use crate::checkpoint::Lock;
use crate::interrupt::{Interrupt, Interrupted};

/// How often the processes are looked at.
const TICK: Duration = Duration::from_millis(50);

/// How often a run is begun again after its process was killed.
const RESTARTS: u32 = 4;

/// Where runs go.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// The program whose `sweep worker` does a run.
    pub program: PathBuf,
    /// The devices; workers are dealt to them in turn.
    pub devices: Vec<String>,
    /// How many runs at once, in place of the sweep file's number.
    pub workers: Option<usize>,
    /// Asks the sweep to stop, and through it every run.
    pub interrupt: Interrupt,
}

/// Works a sweep off: all that is missing, round by round. Runs that fail are listed by the sweep's status.
///
/// # Errors
/// If the sweep cannot be planned, no run fits into the memory, or a stop is asked for.
pub fn run_here(folder: &SweepFolder, file: &SweepFile, options: &LocalOptions) -> Result<()> {
    let claims = folder.claims();
    let slots = slots(file, options)?;
    let mut tried: BTreeSet<String> = BTreeSet::new();
    let known = folder.outcomes(&file.choose);
    loop {
        // What failed before gets another chance, and decides about no round until it had it.
        let outcome = |id: &str| match known(id) {
            Outcome::Failed if !tried.contains(id) => Outcome::Missing,
            outcome => outcome,
        };
        let specs = plan(file, &outcome)?;
        folder.write(file, &specs)?;
        let missing = |spec: &&Spec| outcome(&spec.id) == Outcome::Missing;
        let queue: VecDeque<Spec> = specs.iter().filter(missing).cloned().collect();
        if queue.is_empty() {
            return Ok(());
        }
        tried.extend(queue.iter().map(|spec| spec.id.clone()));
        Execution {
            folder,
            file,
            options,
            claims: &claims,
            view: View::new(slots, queue.len()),
            queue,
            elsewhere: Vec::new(),
            running: (0..slots).map(|_| None).collect(),
            kills: BTreeMap::new(),
        }
        .run()?;
    }
}

/// How many runs fit, by their number and by their memory.
fn slots(file: &SweepFile, options: &LocalOptions) -> Result<usize> {
    let workers = options.workers.or(file.local.workers);
    let workers = workers.unwrap_or(options.devices.len()).max(1);
    let Some(need) = &file.resources.memory else {
        ensure!(
            file.local.memory.is_none(),
            "`local.memory` is a budget, but `resources.memory` does not say what one run needs"
        );
        return Ok(workers);
    };
    let need = memory::bytes(need).context("`resources.memory`")?;
    let budget = match &file.local.memory {
        Some(budget) => Some(memory::bytes(budget).context("`local.memory`")?),
        None => memory::available(),
    };
    let Some(budget) = budget else {
        return Ok(workers);
    };
    let fit = usize::try_from(budget / need).unwrap_or(usize::MAX);
    ensure!(
        fit > 0,
        "one run needs {} MiB (`resources.memory`), there are {} MiB",
        need >> 20,
        budget >> 20
    );
    Ok(workers.min(fit))
}

struct Running {
    spec: Spec,
    child: Child,
}

struct Execution<'a> {
    folder: &'a SweepFolder,
    file: &'a SweepFile,
    options: &'a LocalOptions,
    claims: &'a Claims,
    view: View,
    queue: VecDeque<Spec>,
    /// Runs that a worker of another command has.
    elsewhere: Vec<Spec>,
    running: Vec<Option<Running>>,
    kills: BTreeMap<String, u32>,
}

impl Execution<'_> {
    fn run(mut self) -> Result<()> {
        let mut shown = Instant::now();
        loop {
            for slot in 0..self.running.len() {
                if self.running[slot].is_none() {
                    self.begin(slot)?;
                }
                self.collect(slot)?;
            }
            let idle = self.running.iter().all(Option::is_none);
            if idle && self.queue.is_empty() && self.elsewhere.is_empty() {
                return Ok(());
            }
            if let Some(signal) = self.options.interrupt.asked() {
                return self.stop(signal);
            }
            if shown.elapsed() > Duration::from_secs(1) {
                shown = Instant::now();
                self.show();
                self.look_elsewhere();
            }
            std::thread::sleep(TICK);
        }
    }

    /// Gives a slot the next run that nobody has.
    fn begin(&mut self, slot: usize) -> Result<()> {
        while let Some(spec) = self.queue.pop_front() {
            if self.folder.result(&spec.id).is_some() {
                self.view.ends(slot, &format!("{}  found", spec.id), true);
                continue;
            }
            if Lock::is_held(&self.folder.run(&spec.id)) {
                self.view
                    .say(&format!("{}  another program is at it", spec.id));
                self.elsewhere.push(spec);
                continue;
            }
            if let Seen::Running(owner) = self.claims.look(&spec.id) {
                self.view.say(&format!("{}  {owner} is at it", spec.id));
                self.elsewhere.push(spec);
                continue;
            }
            let child = self.spawn(slot, &spec)?;
            self.view.begins(slot, &spec.label());
            self.running[slot] = Some(Running { spec, child });
            return Ok(());
        }
        Ok(())
    }

    fn spawn(&self, slot: usize, spec: &Spec) -> Result<Child> {
        let path = self.folder.log(&spec.id);
        let log = OpenOptions::new().create(true).append(true).open(&path);
        let log = log.with_context(|| format!("{}: cannot be written", path.display()))?;
        let device = &self.options.devices[slot % self.options.devices.len()];
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.file.resources.threads;
        let threads = threads.unwrap_or((cores / self.running.len()).max(1));
        let mut command = Command::new(&self.options.program);
        command
            .args(["sweep", "worker"])
            .arg(self.folder.path())
            .args([&spec.id, "--device", device])
            .env("RAYON_NUM_THREADS", threads.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        // A group of its own: a terminal's interrupt comes to the sweep alone, which passes it on once.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let program = self.options.program.display();
        command
            .spawn()
            .with_context(|| format!("{program}: cannot be started"))
    }

    /// Takes the end of a slot's run, if it has ended.
    fn collect(&mut self, slot: usize) -> Result<()> {
        let Some(running) = &mut self.running[slot] else {
            return Ok(());
        };
        let Some(exit) = running.child.try_wait()? else {
            return Ok(());
        };
        let Running { spec, .. } = self.running[slot].take().expect("it is running");
        let what = spec.label();
        if self.folder.result(&spec.id).is_some() {
            self.view
                .ends(slot, &format!("{}  done  {what}", spec.id), true);
            return Ok(());
        }
        if let Seen::Failed(message) = self.claims.look(&spec.id) {
            self.view.ends(
                slot,
                &format!("{}  failed  {what}: {message}", spec.id),
                true,
            );
            return Ok(());
        }
        let kills = self.kills.entry(spec.id.clone()).or_default();
        *kills += 1;
        let told_to_stop = exit.code() == Some(3);
        if (exit.code().is_none() || told_to_stop) && *kills <= RESTARTS {
            self.view.ends(
                slot,
                &format!("{}  {exit}, begins again  {what}", spec.id),
                false,
            );
            self.queue.push_front(spec);
            return Ok(());
        }
        self.give_up(slot, &spec, exit)
    }

    /// Asks every run to save itself, and waits until all have.
    fn stop(mut self, signal: &'static str) -> Result<()> {
        self.view
            .say(&format!("{signal}: the runs save themselves"));
        let mut running: Vec<Running> = self.running.drain(..).flatten().collect();
        for Running { child, .. } in &running {
            // One that has just ended is no fault.
            let asked = Command::new("kill").arg(child.id().to_string()).status();
            asked.context("kill: cannot be started")?;
        }
        for Running { child, .. } in &mut running {
            child.wait()?;
        }
        Err(Interrupted(signal)).context("the same command goes on from here")
    }

    /// A process that ended without a word of its own, once too often.
    fn give_up(&mut self, slot: usize, spec: &Spec, exit: ExitStatus) -> Result<()> {
        let message = match exit.code() {
            None => format!(
                "its process ended {} times ({exit}); is there memory enough?",
                RESTARTS + 1
            ),
            Some(_) => format!(
                "its process ended ({exit}); see {}",
                self.folder.log(&spec.id).display()
            ),
        };
        match self.claims.take(&spec.id, true)? {
            Attempt::Mine(claim) => claim.fail(&message)?,
            Attempt::Busy(_) | Attempt::Failed(_) => {}
        }
        let line = format!("{}  failed  {}: {message}", spec.id, spec.label());
        self.view.ends(slot, &line, true);
        Ok(())
    }

    fn show(&self) {
        for (slot, running) in self.running.iter().enumerate() {
            if let Some(Running { spec, child }) = running {
                self.view
                    .goes_on(slot, &self.folder.run(&spec.id), child.id());
            }
        }
    }

    /// Runs that their other worker left, or finished, come back into the queue.
    fn look_elsewhere(&mut self) {
        let (claims, folder) = (self.claims, self.folder);
        let held = |spec: &Spec| {
            matches!(claims.look(&spec.id), Seen::Running(_))
                || Lock::is_held(&folder.run(&spec.id))
        };
        let (still, free) = std::mem::take(&mut self.elsewhere)
            .into_iter()
            .partition(held);
        self.elsewhere = still;
        self.queue.extend::<Vec<Spec>>(free);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(text: &str, devices: &[&str]) -> Result<usize> {
        let options = LocalOptions {
            program: PathBuf::new(),
            devices: devices.iter().map(|d| (*d).to_owned()).collect(),
            workers: None,
            interrupt: Interrupt::never(),
        };
        slots(&toml::from_str(text).unwrap(), &options)
    }

    #[test]
    fn runs_side_by_side_keep_to_the_budget() {
        assert_eq!(fit("", &["cuda:0", "cuda:1"]).unwrap(), 2);
        assert_eq!(fit("[local]\nworkers = 5", &["flex"]).unwrap(), 5);
        let text = "[resources]\nmemory = \"3G\"\n[local]\nworkers = 5\nmemory = \"10G\"";
        assert_eq!(fit(text, &["flex"]).unwrap(), 3);
        let text = "[resources]\nmemory = \"3G\"\n[local]\nmemory = \"2G\"";
        assert!(
            fit(text, &["flex"])
                .unwrap_err()
                .to_string()
                .contains("one run needs")
        );
        let text = "[local]\nmemory = \"2G\"";
        assert!(
            fit(text, &["flex"])
                .unwrap_err()
                .to_string()
                .contains("resources.memory")
        );
    }
}
