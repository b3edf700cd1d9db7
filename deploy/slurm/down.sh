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
# munge is shared: the one who started it stops it, unless another Slurm still needs it.
if alive munged && ! pgrep '^slurm(ctld|d|dbd)$' > /dev/null; then stop munged; fi
say "stopped"
