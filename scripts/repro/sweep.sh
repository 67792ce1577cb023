#!/bin/sh
# A sweep of charlm.lua beside the same sweep written with Optuna and PyTorch (optuna_charlm.py): TPE and asynchronous
# successive halving, 100 trials of at most 432 steps on 200 kB of text, processes of one thread each. Prints a JSON
# document of each, then wall time, processor time and best validation loss side by side, and when lurn had a trial with
# a loss as good as Optuna's best.
#
#   scripts/repro/sweep.sh input.txt [16..128]
#
# From the environment: PYTHON=python3 with optuna and torch; TRIALS=100; SEED=1; WORKERS=2, processes; PRUNER=...
#
# The same budget of a trial in steps, space, evaluations, clipping, schedule and text, each with its best settings:
# Optuna has the halving that stops, which is cheapest at its default of one in four; lurn has the one that pauses, too,
# whose checkpoints go on (the paper's own), here with `delay`: see what tests/tools/regret.lua prints of both. With
# PRUNER=asha:min_resource=27 lurn does what Optuna does. Trials differ, so compare several seeds. Processor time says
# less of what else the machine had to do than wall time.
set -eu
here=$(dirname "$(readlink -f "$0")")
text=$(readlink -f "$1") hidden=${2:-16..128} trials=${TRIALS:-100} seed=${SEED:-1} workers=${WORKERS:-2}
pruner=${PRUNER:-promotion:min_resource=27,max_resource=432,reduction_factor=2,delay=true}
lurn=$here/../../build/bin/lurn
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
head -c 200000 "$text" > "$dir/text"
cd "$dir"
start=$(date +%s.%N)
"$lurn" sweep "$here/../charlm.lua" --data text --trials "$trials" --workers "$workers" --sampler tpe --seed "$seed" \
  --pruner "$pruner" --hidden "$hidden" --embed 64 --steps 432 --eval_every 27 --eval_batch 10 --length 0 \
  --quiet --json > lurn.json
between=$(date +%s.%N)
times > ours.txt
"${PYTHON:-python3}" "$here/optuna_charlm.py" text --trials "$trials" --workers "$workers" --hidden "$hidden" \
  --seed "$seed" > optuna.json
end=$(date +%s.%N)
times > both.txt
cat lurn.json optuna.json
"$lurn" -e "
local function text (name) return io.open(name):read 'a' end
local function cpu (name)                        -- of the children, in the second line
  local seconds = 0
  for m, s in text(name):match '\n(.*)':gmatch '(%d+)m([%d.]+)s' do seconds = seconds + 60 * m + s end
  return seconds
end
local ours, theirs = lurn.json.decode(text 'lurn.json'), lurn.json.decode(text 'optuna.json')
local a, b, c, d = $between - $start, $end - $between, cpu 'ours.txt', cpu 'both.txt' - cpu 'ours.txt'
print(('hidden $hidden: lurn %.1f s, best %.4f; Optuna and PyTorch %.1f s, best %.4f; %.2f times as fast')
  :format(a, ours.best.value, b, theirs.best, b / a))
print(('processor time: %.1f s, %.1f s, %.2f times as little'):format(c, d, d / c))
local store, found = assert(lurn.store.open(ours.store)), nil
for _, trial in ipairs(assert(store:study(ours.study)):sync()) do
  if trial.value and trial.value <= theirs.best then found = math.min(found or math.huge, trial.ended - $start) end
end
print(('a loss of %.4f: lurn after %s, Optuna after %.1f s'):format(theirs.best,
  found and ('%.1f s'):format(found) or 'no time', theirs.found))"
