#!/bin/sh
# A sweep of charlm.lua beside the same sweep written with Optuna and PyTorch (optuna_charlm.py): TPE and asynchronous
# successive halving, 100 trials of at most 432 steps on 200 kB of text, processes of one thread each. Prints a JSON
# document of each, then wall time, processor time and best validation loss side by side, and when lurn had a trial with
# a loss as good as Optuna's best. Of several seeds it prints sums and means at the end.
#
#   scripts/repro/sweep.sh input.txt [16..128]
#
# From the environment: PYTHON=python3 with optuna and torch; TRIALS=100; SEEDS=1, or "1 2 3"; WORKERS=2, processes;
# PRUNER=...
#
# The same budget of a trial in steps, space, evaluations, clipping, schedule and text, each with its best settings:
# Optuna has the halving that stops, which is cheapest at its default of one in four; lurn has the one that pauses, too,
# whose checkpoints go on (the paper's own), here with `delay`: see what tests/tools/regret.lua prints of both. With
# PRUNER=asha:min_resource=27 lurn does what Optuna does. Trials differ, so compare several seeds. Processor time says
# less of what else the machine had to do than wall time.
set -eu
here=$(dirname "$(readlink -f "$0")")
text=$(readlink -f "$1") hidden=${2:-16..128} trials=${TRIALS:-100} seeds=${SEEDS:-1} workers=${WORKERS:-2}
pruner=${PRUNER:-promotion:min_resource=27,max_resource=432,reduction_factor=2,delay=true}
lurn=$here/../../build/bin/lurn
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
head -c 200000 "$text" > "$dir/text"

report () { "$lurn" -e "assert(loadfile '$here/sweep_report.lua') {$1}"; }

for seed in $seeds; do
  mkdir "$dir/$seed"
  cd "$dir/$seed"
  start=$(date +%s.%N)
  times > start
  "$lurn" sweep "$here/../charlm.lua" --data ../text --trials "$trials" --workers "$workers" --sampler tpe \
    --seed "$seed" --pruner "$pruner" --hidden "$hidden" --embed 64 --steps 432 --eval_every 27 --eval_batch 10 \
    --length 0 --quiet --json > lurn.json
  between=$(date +%s.%N)
  times > between
  "${PYTHON:-python3}" "$here/optuna_charlm.py" ../text --trials "$trials" --workers "$workers" --hidden "$hidden" \
    --seed "$seed" > optuna.json
  end=$(date +%s.%N)
  times > end
  cat lurn.json optuna.json
  report "seed = $seed, hidden = '$hidden', at = {$start, $between, $end}"
done
cd "$dir"
report "hidden = '$hidden'"
