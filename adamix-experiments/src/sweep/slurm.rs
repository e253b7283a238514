//! The executor of a cluster: a job array of Slurm, a run a task.

use std::path::Path;
use std::process::Command;

use adamix_models::hub::write;
use anyhow::{Context, Result, bail, ensure};

use super::file::SweepFile;
use super::folder::SweepFolder;

/// Finds that no array of the sweep is queued or running.
///
/// # Errors
/// If one is.
pub fn refuse_queued(folder: &SweepFolder) -> Result<()> {
    if let Ok(job) = std::fs::read_to_string(folder.path().join("slurm/job")) {
        let job = job.trim();
        ensure!(
            !is_queued(job),
            "job {job} of this sweep is still queued or running; wait for it, or `scancel {job}`"
        );
    }
    Ok(())
}

/// Writes `slurm/array.sh` and submits it for these lines of the plan; returns the job's number.
///
/// # Errors
/// If the sweep's last array is still queued or running, or Slurm refuses this one.
pub fn submit(
    folder: &SweepFolder,
    file: &SweepFile,
    indices: &[usize],
    program: &Path,
    device: &str,
) -> Result<String> {
    refuse_queued(folder)?;
    let at = folder.path().join("slurm");
    let path = at.join("array.sh");
    let directory = std::env::current_dir()?;
    let text = script(folder, file, indices, program, device, &directory);
    write::atomic(&path, text.as_bytes())?;
    let submitted = Command::new("sbatch").arg("--parsable").arg(&path).output();
    let submitted = submitted.with_context(|| {
        format!(
            "sbatch: cannot be started; is this a machine that submits? The array is in {}",
            path.display()
        )
    })?;
    if !submitted.status.success() {
        let error = String::from_utf8_lossy(&submitted.stderr);
        bail!("sbatch {}: {}", path.display(), error.trim());
    }
    let said = String::from_utf8_lossy(&submitted.stdout);
    // `123`, or `123;cluster`.
    let job = said.trim().split(';').next().unwrap_or_default().to_owned();
    write::atomic(&at.join("job"), job.as_bytes())?;
    Ok(job)
}

/// Unknown jobs are none: Slurm forgets those that ended.
fn is_queued(job: &str) -> bool {
    let listed = Command::new("squeue")
        .args(["--noheader", "--jobs", job])
        .output();
    listed.is_ok_and(|o| o.status.success() && !o.stdout.trim_ascii().is_empty())
}

fn script(
    folder: &SweepFolder,
    file: &SweepFile,
    indices: &[usize],
    program: &Path,
    device: &str,
    directory: &Path,
) -> String {
    let (slurm, resources) = (&file.slurm, &file.resources);
    let at_once = slurm.at_once.map_or(String::new(), |n| format!("%{n}"));
    let mut options = vec![
        format!("--job-name=adamix-{}", folder.name()),
        format!("--array={}{at_once}", ranges(indices)),
        format!("--output={}/%a.log", folder.path().join("logs").display()),
        "--open-mode=append".to_owned(),
        "--requeue".to_owned(),
        format!("--signal=B:USR1@{}", slurm.warning),
    ];
    let wishes = [
        ("partition", slurm.partition.clone()),
        ("time", resources.time.clone()),
        ("mem", resources.memory.clone()),
        ("cpus-per-task", resources.threads.map(|n| n.to_string())),
        (
            "gpus",
            Some(resources.gpus)
                .filter(|n| *n > 0)
                .map(|n| n.to_string()),
        ),
    ];
    let wish = |(name, value): (&str, Option<String>)| Some(format!("--{name}={}", value?));
    options.extend(wishes.into_iter().filter_map(wish));
    options.extend(slurm.options.iter().cloned());
    let options: String = options.iter().map(|o| format!("#SBATCH {o}\n")).collect();
    let setup: String = slurm.setup.iter().map(|line| format!("{line}\n")).collect();
    format!(
        r#"#!/bin/bash
{options}
# Written by `adamix sweep run --executor slurm`. A run that is out of time saves itself and queues again; one that is
# pre-empted, or whose node fails, is requeued by Slurm. Either goes on from where it was saved.
cd {directory} || exit
export RAYON_NUM_THREADS="${{SLURM_CPUS_PER_TASK:-1}}"
{setup}
out_of_time=
trap 'out_of_time=1; kill -TERM "$worker"' USR1
trap : TERM # the worker gets its own, and saves
{program} sweep worker {folder} "$SLURM_ARRAY_TASK_ID" --device {device} &
worker=$!
settle() {{
    wait "$worker"
    local code=$?
    [ "$code" = 127 ] || status=$code
}}
settle
while kill -0 "$worker" 2>/dev/null; do settle; done # a trapped signal ends a wait before its time
settle
if [ -n "$out_of_time" ] && [ "$status" -gt 1 ]; then
    echo "out of time: requeued"
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
fi
exit "$status"
"#,
        directory = quoted(&directory.display().to_string()),
        program = quoted(&program.display().to_string()),
        folder = quoted(&folder.path().display().to_string()),
        device = quoted(device),
    )
}

/// `0-3,5` for 0, 1, 2, 3, 5.
fn ranges(indices: &[usize]) -> String {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for &index in indices {
        match spans.last_mut() {
            Some((_, end)) if *end + 1 == index => *end = index,
            _ => spans.push((index, index)),
        }
    }
    let text = |(start, end): &(usize, usize)| match start == end {
        true => start.to_string(),
        false => format!("{start}-{end}"),
    };
    spans.iter().map(text).collect::<Vec<_>>().join(",")
}

/// A word of the shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_array_asks_for_what_the_file_says() {
        let file: SweepFile = toml::from_str(
            "[resources]\nmemory = \"16G\"\nthreads = 8\ngpus = 1\ntime = \"4:00:00\"\n\
             [slurm]\npartition = \"a100\"\nat_once = 4\noptions = [\"--account=nlp\"]\nsetup = [\"module load cuda\"]\n",
        )
        .unwrap();
        let folder = SweepFolder::new(Path::new("/data/runs"), "mrpc");
        let program = Path::new("/opt/it's here/adamix");
        let text = script(
            &folder,
            &file,
            &[0, 1, 2, 5],
            program,
            "cuda",
            Path::new("/home/me"),
        );
        let options: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("#SBATCH"))
            .collect();
        assert_eq!(
            options,
            [
                "#SBATCH --job-name=adamix-mrpc",
                "#SBATCH --array=0-2,5%4",
                "#SBATCH --output=/data/runs/sweeps/mrpc/logs/%a.log",
                "#SBATCH --open-mode=append",
                "#SBATCH --requeue",
                "#SBATCH --signal=B:USR1@120",
                "#SBATCH --partition=a100",
                "#SBATCH --time=4:00:00",
                "#SBATCH --mem=16G",
                "#SBATCH --cpus-per-task=8",
                "#SBATCH --gpus=1",
                "#SBATCH --account=nlp",
            ]
        );
        assert!(text.contains("\ncd '/home/me' || exit\n"));
        assert!(text.contains("\nmodule load cuda\n"));
        let worker = r#"'/opt/it'\''s here/adamix' sweep worker '/data/runs/sweeps/mrpc' "$SLURM_ARRAY_TASK_ID" --device 'cuda' &"#;
        assert!(text.contains(worker), "{text}");
    }
}
