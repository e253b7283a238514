#!/usr/bin/env bash
# A sweep by a real Slurm on this machine: an array end to end, a run that is told its time is up and requeued, and the table
# of the same sweep without Slurm. Needs root on Debian or Ubuntu; says so and succeeds where that is not given.
# Everything listens on the loopback interface and lives in one temporary folder.
#
#   tools/slurm_test.sh [path of adamix]
set -euo pipefail
cd "$(dirname "$0")/.."
adamix=$(realpath "${1:-target/release/adamix}")
skip() {
    echo "slurm_test: skipped: $*"
    exit 0
}

[ "$(id -u)" = 0 ] || skip "not root"
if ! command -v slurmctld slurmd sbatch munged >/dev/null; then
    command -v apt-get >/dev/null || skip "no Slurm, and no apt-get to install it"
    export DEBIAN_FRONTEND=noninteractive
    { timeout 60 apt-get update && timeout 180 apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge; } \
        >/dev/null 2>&1 || skip "Slurm's packages do not install"
fi

work=$(mktemp -d /tmp/slurm_test.XXXXXX)
chmod 755 "$work"
stop() {
    local code=$?
    if [ "$code" != 0 ]; then
        tail -n 20 "$work"/log/* "$work"/runs/sweeps/sweep/logs/* 2>/dev/null || true
    fi
    for name in slurmd slurmctld munged; do
        [ ! -s "$work/$name.pid" ] || kill "$(cat "$work/$name.pid")" 2>/dev/null || true
    done
    sleep 1
    rm -rf "$work"
    exit "$code"
}
trap stop EXIT

mkdir "$work"/{log,state,spool,munge}
head -c 1024 /dev/urandom >"$work/munge/key"
chmod 400 "$work/munge/key"
chown -R munge: "$work/munge"
runuser -u munge -- munged --force --key-file="$work/munge/key" --socket="$work/munge/socket" \
    --pid-file="$work/munge/pid" --log-file="$work/munge/log" --seed-file="$work/munge/seed"
ln -s munge/pid "$work/munged.pid"

host=$(hostname -s)
export SLURM_CONF=$work/slurm.conf
cat >"$SLURM_CONF" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=26817
SlurmdPort=26818
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket
CredType=cred/munge
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/log/slurmctld
SlurmdLogFile=$work/log/slurmd
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
MpiDefault=none
ReturnToService=2
SchedulerType=sched/builtin
SlurmdParameters=config_overrides
KillWait=30
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES State=UP
CONF
slurmctld
slurmd -N "$host"
for _ in $(seq 40); do
    [ "$(sinfo --noheader --format=%T 2>/dev/null)" != idle ] || break
    sleep 0.5
done
[ "$(sinfo --noheader --format=%T)" = idle ] || skip "Slurm does not start here: $(tail -n 1 "$work/log/slurmctld")"
echo "slurm_test: $(sinfo --version), one node"

cd "$work"
cat >sweep.toml <<TOML
[config]
schedule.batch_size = 8
[[zip]]
seed = [1, 2, 1, 2, 3]
adaptation.method = ["adapter", "adapter", "adamix", "adamix", "adamix"]
schedule.max_steps = [10, 10, 10, 10, 100]
[resources]
memory = "900M"
threads = 1
time = "15"
[slurm]
partition = "main"
warning = 60
TOML

"$adamix" sweep run sweep.toml --executor slurm
[ "$(squeue --noheader --array | wc -l)" = 5 ]
again=$("$adamix" sweep run sweep.toml --executor slurm 2>&1) && exit 1
echo "slurm_test: while it runs: $again"
job=$(cat runs/sweeps/sweep/slurm/job)
long=$("$adamix" sweep plan sweep.toml | tail -n 1 | cut -f 1)
warned=
for _ in $(seq 240); do
    sleep 1
    queue=$(squeue --noheader --array --jobs "$job" --format='%i %r') || continue
    [ -n "$queue" ] || break
    if [ -z "$warned" ] && [ -e "runs/$long/adapter/initial/adamix_config.json" ]; then
        # What Slurm sends when a task's time is nearly up, without the wait.
        scancel --batch --signal=USR1 "${job}_4"
        warned=1
    fi
    # A requeued task begins after two minutes; here it need not wait.
    for task in $(sed -n 's/ BeginTime$//p' <<<"$queue"); do
        scontrol update JobId="$task" StartTime=now || true
    done
done
[ -z "$queue" ] || { squeue --array; echo "slurm_test: not done in time"; exit 1; }

cat runs/sweeps/sweep/logs/*.log
"$adamix" sweep status runs/sweeps/sweep
"$adamix" sweep status runs/sweeps/sweep --csv >slurm.csv
requeued=$(cat runs/sweeps/sweep/logs/*.log | grep -c '^out of time: requeued')
[ "$requeued" -gt 0 ]
echo "slurm_test: requeued when out of time: $requeued"
"$adamix" sweep run sweep.toml --runs here --workers 2 >/dev/null 2>&1
"$adamix" sweep status here/sweeps/sweep --csv | diff slurm.csv -
for id in $(cut -d, -f1 slurm.csv | tail -n +2); do
    for file in metrics.jsonl predictions/last.jsonl adapter/last/adamix.safetensors; do
        cmp "runs/$id/$file" "here/$id/$file"
    done
done
echo "slurm_test: table and runs are those of a sweep on this machine, byte for byte"
