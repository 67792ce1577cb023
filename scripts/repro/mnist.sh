#!/bin/sh
# The figure of mnist.lua: accuracy on the 10,000 test images of MNIST, three seeds, with the time each took.
#
#   scripts/repro/mnist.sh FOLDER [--threads 2]
#
# FOLDER has the four files train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and
# t10k-labels-idx1-ubyte.gz. Expected: at least 98.5 % for each seed, in less than 15 minutes on two cores.
set -eu
folder=$(readlink -f "$1"); shift
lurn=$(dirname "$(readlink -f "$0")")/../../build/bin/lurn
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$lurn" data idx "$folder/train-images-idx3-ubyte.gz" "$folder/train-labels-idx1-ubyte.gz" -o "$dir/mnist.h5" \
  --test-images "$folder/t10k-images-idx3-ubyte.gz" --test-labels "$folder/t10k-labels-idx1-ubyte.gz"
for seed in 1 2 3; do
  start=$(date +%s)
  "$lurn" run "$(dirname "$0")/../mnist.lua" --data "$dir/mnist.h5" --seed $seed --quiet --out "$dir/$seed.h5" "$@" |
    sed -n "s/^test/seed $seed: test/p"
  echo "seed $seed: $(($(date +%s) - start)) s"
done
