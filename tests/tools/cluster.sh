#!/bin/bash
# A sweep on two Slurm hosts (hosts.sh) through lurn slurm, with a node killed, the network cut and both mended, once
# on a shared folder and once on PostgreSQL: every trial must be done exactly once.
#
#   tests/tools/cluster.sh [dir|postgresql]...      as root, with the groups cluster and server of .packages
#
# Each takes about two minutes, most of which Slurm spends on believing that a host is gone.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
lurn=${LURN_BIN:-$here/build/bin/lurn}
hosts=$here/tests/tools/hosts.sh
trials=40 folder=
programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)

say () { printf '%3d s  %s\n' $SECONDS "$*"; }

finish () {
  [ "$folder" ] || return
  [ -s "$folder"/pg/data/postmaster.pid ] && as_user "$programs"/pg_ctl -D "$folder"/pg/data -m immediate stop > /dev/null
  SLURM_CONF=$folder/slurm.conf scancel --user=root 2>/dev/null
  "$hosts" down "$folder"
  for _ in 1 2 3 4 5 6 7 8 9 10; do pgrep -f "slurmctld -c" > /dev/null || break; sleep 0.5; done
  rm -rf "$folder"
  folder=
}
trap finish EXIT

as_user () { (cd / && setpriv --reuid=65534 --regid=65534 --clear-groups "$@"); }

# On the address of the bridge, which the hosts reach as long as their cables are in.
start_server () {
  mkdir "$folder"/pg && chown 65534:65534 "$folder"/pg
  as_user "$programs"/initdb -D "$folder"/pg/data -U trial -A trust --no-sync > "$folder"/log/initdb || return 1
  echo "host all all 10.98.0.0/24 trust" >> "$folder"/pg/data/pg_hba.conf
  as_user "$programs"/pg_ctl -D "$folder"/pg/data -w -l "$folder"/pg/log \
    -o "-c listen_addresses=10.98.0.254 -c unix_socket_directories=$folder/pg" start > /dev/null || return 1
  "$programs"/createdb -h 10.98.0.254 -U trial trials
}

# Of every trial one attempt counts, and the rest say how they were lost.
ONCE='
local study = assert(assert(lurn.store.open("%s")):study "cluster")
local ends = {}
for number, trial in ipairs(assert(study:sync())) do
  local counted = 0
  for _, attempt in ipairs(study:attempts(trial.number)) do
    local reason = attempt.reason or "running"
    ends[reason] = (ends[reason] or 0) + 1
    if reason == "COMPLETE" then counted = counted + 1 end
  end
  assert(trial.number == number - 1 and trial.state == "COMPLETE" and counted == 1,
    "trial " .. trial.number .. " is " .. trial.state .. ", counted " .. counted)
end
assert(#study:sync() == %d and (ends.LOST or 0) > 0, "nothing was lost on the way: the kill hit nobody")
for reason, n in pairs(ends) do print("      " .. n .. " attempts: " .. reason) end
'

# How many trials have ended well.
complete () { "$lurn" study show cluster --store "$store" --json 2>/dev/null | sed -n 's/.*"COMPLETE": \([0-9]*\).*/\1/p' | head -n 1; }

# wait_for COUNT SECONDS
wait_for () {
  local until=$((SECONDS + $2)) n
  while n=$(complete); [ "${n:-0}" -lt "$1" ]; do
    [ $SECONDS -lt $until ] || { say "only ${n:-0} of $1 trials after $2 s"; return 1; }
    sleep 1
  done
  say "$n trials are done"
}

play () {
  local kind=$1 job bad
  folder=$(mktemp -d /var/tmp/lurn-cluster.XXXXXX)
  chmod 755 "$folder"
  "$hosts" up "$folder" || return 1
  export SLURM_CONF=$folder/slurm.conf
  store=dir:$folder/study
  if [ "$kind" = postgresql ]; then
    start_server || return 1
    store="postgresql://trial@10.98.0.254/trials?connect_timeout=2"
  fi
  cat > "$folder"/wave.lua <<'LUA'
return require "lurn".experiment {name = "cluster", params = {x = {0.5, float = {0, 1}}},
  run = function (run, p)
    for k = 1, 3 do
      os.execute "sleep 1"
      run:report(p.x / k)
    end
    return p.x
  end}
LUA
  cd "$folder" || return 1
  "$lurn" slurm wave.lua --trials $trials --sampler sobol --pruner nop --tasks 4 --workers 1 --store "$store" \
    --folder "$folder"/runs --lease 8 -- --time=15 --mem=100 || return 1
  wait_for 6 60 || return 1
  say "h1 dies"
  "$hosts" kill "$folder" h1
  wait_for 12 90 || return 1
  say "the cable of h2 is pulled"
  "$hosts" cut "$folder" h2
  sleep 25
  say "h1 comes back, the cable of h2 too"
  "$hosts" start "$folder" h1
  "$hosts" join "$folder" h2
  wait_for $trials 240 || { squeue; sinfo; return 1; }
  "$lurn" study check cluster --store "$store" || return 1
  "$lurn" -e "$(printf "$ONCE" "$store" $trials)" || return 1
  say "$kind: $trials trials, every one done exactly once"
}

[ $# -gt 0 ] || set -- dir postgresql
for kind; do
  play "$kind" || { say "$kind: FAILED"; cat "$folder"/runs/slurm-*.out 2>/dev/null | tail -n 20; exit 1; }
  cd /
  finish
done
