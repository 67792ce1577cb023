#!/bin/sh
# The classic demonstrations, each beside its trivial baseline: the commands behind the tables of CLASSICS.md.
#
#   scripts/repro/classics.sh [all]
#
# Some minutes of one core: adding at T = 200, Reber, temporal order and parity, with three seeds. `all` takes twenty
# more: adding at T = 600, and copy memory.
set -eu
here=$(dirname "$(readlink -f "$0")")
lurn=$here/../../build/bin/lurn
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

play () {
  name=$1; shift
  start=$(date +%s)
  echo "lurn run scripts/$name.lua $*"
  "$lurn" run "$here/../$name.lua" "$@" --quiet --force --out "$dir/$name.h5" | sed '/^result/d; s/^/    /'
  echo "    $(($(date +%s) - start)) s"
}

for seed in 1 2 3; do
  for cell in gru lstm; do play adding --T 200 --cell $cell --seed $seed; done
  for cell in lstm gru rnn; do play reber --cell $cell --seed $seed; done
  for variant in 6a 6b; do play temporal_order --variant $variant --seed $seed; done
  for cell in lstm gru rnn; do play parity --cell $cell --seed $seed; done
done
play adding --T 200 --cell rnn --lags true
play adding --T 200 --cell rnn --lr 1e-3
play adding --T 100 --variant hs97 --goal 2e-4
play adding --T 100 --variant tcn
play temporal_order --cell rnn
play temporal_order --chrono false
play parity --variant last
play parity --variant last --shortest 25 --steps 2000
[ "${1:-}" = all ] || exit 0
for cell in gru lstm; do play adding --T 600 --cell $cell; done
for lr in 5e-3 1e-3; do play adding --T 600 --cell rnn --lr $lr; done
play copy --T 50
play copy --T 100
play copy --T 100 --cell gru --lr 5e-3 --steps 6000
