#!/bin/sh
# usage: suite.sh NAME FOLDER CHECK... -- SPEC...
#
# Runs C checks, then specs, each file in a process of its own under a time limit, so that a crash
# or an endless loop costs one file. Prints a line for each, the whole output of what failed, and
# the sum; leaves the sum in FOLDER/count for .ci/run. A check counts as one test, a spec file
# as the cases in it. Nothing run at all is a failure.
#
# From the environment: LUA (interpreter), BUSTED (its busted), LIMIT (seconds a file, default 900).
set -u
name=$1 folder=$2; shift 2
mkdir -p "$folder"
log=$folder/log
passed=0 failed=0 pending=0

now () { date +%s; }
# result OK FILE CASES
result () {
  printf '%-6s %-36s %4s  %d s\n' "$1" "$2" "$3" "$(($(now) - start))"
  [ "$1" = ok ] || sed 's/^/    /' "$log"
}
once () {
  timeout -k 10 "${LIMIT:-900}" "$@" >"$log" 2>&1 </dev/null
}
# LeakSanitizer itself crashes now and then at the end of a process that had threads (github.com/google/sanitizers
# #1353). That says nothing of the file, which is run again; a leak or a failure has other words and counts at once.
limited () {
  for _ in 1 2; do
    once "$@"; rc=$?
    [ $rc = 0 ] && return 0
    grep -q "Tracer caught signal" "$log" && grep -q "LeakSanitizer has encountered a fatal error" "$log" || return $rc
    echo "again  $*: LeakSanitizer crashed"
  done
  # Some files meet that crash every time, on some days; all else is still checked of them.
  echo "without looking for leaks  $*"
  (ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0; export ASAN_OPTIONS; once "$@")
}
# The number before a word of busted's last line: "5 successes / 0 failures / 0 errors / 1 pending : ..."
count () {
  n=$(sed -n "s/.*\b\([0-9][0-9]*\) $1.*/\1/p" "$log" | tail -n 1)
  echo "${n:-0}"
}

while [ $# -gt 0 ] && [ "$1" != -- ]; do
  start=$(now)
  if limited "$1"; then passed=$((passed + 1)); result ok "${1#*/}" 1
  else rc=$?; failed=$((failed + 1)); result FAILED "${1#*/}" "rc $rc"
  fi
  shift
done
[ $# -gt 0 ] && shift

for spec in "$@"; do
  start=$(now)
  # shellcheck disable=SC2086     # LUA may be an interpreter and a script to run first
  limited $LUA "$BUSTED" -o plainTerminal "$spec"; rc=$?
  good=$(count success) bad=$(($(count failure) + $(count error)))
  pending=$((pending + $(count pending)))
  [ $rc = 0 ] || [ $bad -gt 0 ] || bad=1      # it crashed, or ran out of time
  passed=$((passed + good)) failed=$((failed + bad))
  if [ $bad = 0 ]; then result ok "$spec" "$good"; else result FAILED "$spec" "$bad of $((good + bad)), rc $rc"; fi
done
rm -f "$log"

if [ $((passed + failed)) = 0 ]; then echo "$name: no test ran"; failed=1; fi
echo "$passed $failed" > "$folder/count"
echo "$name: $passed passed, $failed failed, $pending pending"
[ $failed = 0 ]
