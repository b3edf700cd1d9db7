#!/bin/bash
# Stop the Slurm that up.sh started in this folder, by pid. Its accounting stays; remove the folder to begin anew.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
[ -d "$FOLDER/run" ] || { say "nothing runs in $FOLDER"; exit 0; }
if alive slurmctld; then
    scancel --state=PENDING,RUNNING,SUSPENDED > /dev/null 2>&1 || true
    await 20 sh -c '[ -z "$(squeue -h)" ]' || true
fi
for file in "$FOLDER"/run/slurmd-*.pid; do
    [ -e "$file" ] && stop "$(basename "$file" .pid)"
done
stop slurmctld
stop slurmdbd
stop mariadbd 30
# munge is shared. One that any of ours started, as its environment tells, is stopped with the last Slurm; what nobody
# has reaped yet is none.
munged=$(cat /run/munge/munged.pid 2>/dev/null || true)
if [ -n "$munged" ] && ! pgrep -r R,S,D,T '^slurm(ctld|d|dbd)$' > /dev/null 2>&1 \
    && { tr '\0' '\n' < "/proc/$munged/environ" | grep -q '^SLURM_CONF='; } 2>/dev/null; then
    kill -TERM "$munged"
    await 15 sh -c "! kill -0 $munged" || true
fi
say "stopped"
