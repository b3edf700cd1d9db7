#!/usr/bin/env bash
# Measure everything beside the peers in one run, and write the tables of docs/performance.md.
# SIZES (GiB, default "0.25 1 4"), REPEAT (default 3; the larger sizes run once), BLOCKS, LABELS and PROFILE (GiB) may be
# given, smaller ones for a try. Wants a quiet machine, and for the 4 GiB volume and its labels 10 GB of disk.
set -uo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python
sizes=${SIZES:-"0.25 1 4"}
repeat=${REPEAT:-3}
smallest=${sizes%% *}

mkdir -p .bench
[ ! -e .bench/results.jsonl ] || mv .bench/results.jsonl .bench/results-before.jsonl

failed=0
bench() {
    echo "== $*"
    "$python" "benchmarks/$1" "${@:2}" || { echo "FAILED: $*"; failed=1; }
}

for size in $sizes; do
    [ "$size" = "$smallest" ] && times=$repeat || times=1
    bench segment.py --size "$size" --repeat "$times"
done
bench segment.py --mosaic --repeat "$repeat"
bench split.py --size "$smallest" --repeat "$repeat"
bench measure.py --size "$smallest" --repeat "$repeat"
bench convert.py --size "$smallest" --repeat "$repeat"
bench pyramid.py --repeat "$repeat"
bench read.py --size "$smallest" --repeat "$repeat"
bench floor.py --size "$smallest" --repeat "$repeat"
bench catalogue.py --size "$smallest" --repeat 1
bench smoothing.py
bench small.py
bench scale.py blocks --blocks "${BLOCKS:-1000000}" --workers 2 --repeat 1
bench scale.py merge --labels "${LABELS:-100000000}" --repeat 1
bench scale.py linear --sizes "${sizes// /,}" --repeat 1
bench scale.py start --repeat "$repeat"
"$python" benchmarks/profile_segment.py --size "${PROFILE:-1}" > .bench/profile-table.txt || failed=1
"$python" benchmarks/report.py || failed=1
exit $failed
