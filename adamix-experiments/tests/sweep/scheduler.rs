//! Slurm's programs by stand-ins.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use crate::fixture::Fixture;
use crate::process::adamix;
use crate::{counts, fails, ids, run, succeeds, sweep};

/// Programs that stand in for Slurm's: `sbatch` runs the array's tasks one after the other.
fn stand_in(fixture: &Fixture) -> String {
    let bin = fixture.path("bin");
    std::fs::create_dir(&bin).unwrap();
    let sbatch = "#!/bin/bash\nfor last; do :; done\n\
        tasks=$(sed -n 's/^#SBATCH --array=\\([0-9]*\\)-\\([0-9]*\\)$/\\1 \\2/p' \"$last\")\n\
        for i in $(seq $tasks); do SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$i bash \"$last\" >&2; done\n\
        echo 7\n";
    let squeue = "#!/bin/bash\n[ ! -e \"$QUEUED\" ] || echo 7\n";
    for (name, text) in [("sbatch", sbatch), ("squeue", squeue)] {
        std::fs::write(bin.join(name), text).unwrap();
        let all = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(bin.join(name), all).unwrap();
    }
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
}

#[test]
fn an_array_is_submitted_once_and_its_tasks_are_the_missing_runs() {
    let fixture = Fixture::new();
    let file = sweep(
        &fixture,
        "array",
        "[grid]\nseed = [1, 2, 3]\n[resources]\nmemory = \"1G\"\n",
    );
    let (store, path, queued) = (
        fixture.path("runs"),
        stand_in(&fixture),
        fixture.path("queued"),
    );
    let submit = || {
        let mut command = run(&file, &store, "1");
        command
            .args(["--executor", "slurm"])
            .env("PATH", &path)
            .env("QUEUED", &queued);
        command
    };
    // One is there already, and is no task.
    succeeds(
        adamix()
            .args(["train", "--config"])
            .arg(fixture.config())
            .args(["--out"])
            .arg({
                let plan = succeeds(
                    adamix()
                        .args(["sweep", "plan", "--runs"])
                        .arg(&store)
                        .arg(&file),
                );
                store.join(&plan[..16])
            }),
    );
    let said = succeeds(&mut submit());
    assert!(said.contains("job 7: 2 of 3 runs submitted"), "{said}");
    let folder = store.join("sweeps/array");
    let script = std::fs::read_to_string(folder.join("slurm/array.sh")).unwrap();
    assert!(script.contains("#SBATCH --array=1-2\n") && script.contains("#SBATCH --mem=1G\n"));
    assert_eq!(counts(&folder), BTreeMap::from([("done".to_owned(), 3)]));
    assert!(succeeds(&mut submit()).contains("3 runs: 3 done"));

    // One is lost again; while Slurm has the last array, there is no second.
    let id = ids(&folder)[1].clone();
    succeeds(adamix().args(["runs", "remove", &id, "--runs"]).arg(&store));
    std::fs::write(&queued, "").unwrap();
    let error = fails(&mut submit());
    assert!(
        error.contains("job 7 of this sweep is still queued"),
        "{error}"
    );
}
