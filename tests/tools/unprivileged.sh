#!/bin/bash
# usage: unprivileged.sh [FOLDER]
#
# Proves that a plain `make` needs neither root, nor network, nor pkg-config, nor installed
# libraries: the Debian packages of Lua, OpenBLAS, HDF5, zlib and SQLite, with the libraries they need, are
# unpacked with dpkg -x into a folder; the files of this checkout are built against them by user nobody
# (when started by root; else by whoever starts it), without network where the machine lets us
# take it away; the C checks run and both modules load. It shows where every library was
# found. Prints PASS or FAIL; the folder (default: a new one, removed at the end) keeps downloads.
set -eu -o pipefail
cd "$(dirname "$0")/../.."

if [ $# -gt 0 ]; then mkdir -p "$1"; D=$(readlink -f "$1")
else D=$(mktemp -d); trap 'rm -rf "$D"' EXIT
fi
fail () { echo "FAIL: $*"; exit 1; }

# -- unpack ---------------------------------------------------------------------------------------
mkdir -p "$D/deb" "$D/tree"
dev="liblua5.4-dev libopenblas-pthread-dev libhdf5-dev zlib1g-dev libsqlite3-dev"
# What the shared libraries need at run time, all the way down, but for the C library, which is
# part of the toolchain.
# shellcheck disable=SC2086
names=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
          --no-enhances liblua5.4-0 libopenblas0-pthread libhdf5-103-1 libsz2 zlib1g libsqlite3-0 |
        grep -E '^z?lib' | sed 's/:.*//' | grep -vE '^(libc6|libc-bin|libgcc-s1|libcrypt1)$' | sort -u)
[ -n "$names" ] || fail "apt knows no packages here (apt-get update?)"
for p in $dev $names; do
  ls "$D/deb/${p}"_*.deb >/dev/null 2>&1 || (cd "$D/deb" && apt-get -q download "$p" >/dev/null 2>&1) || echo "  no package $p"
done
for f in "$D"/deb/*.deb; do dpkg -x "$f" "$D/tree"; done

# -- copy -----------------------------------------------------------------------------------------
rm -rf "$D/src" "$D/bin"
mkdir -p "$D/src" "$D/bin"
git ls-files -co --exclude-standard -z | while IFS= read -r -d '' f; do [ ! -e "$f" ] || cp --parents "$f" "$D/src"; done
printf '#!/bin/sh\nexit 127\n' > "$D/bin/pkg-config"      # hidden, not merely unused
chmod 755 "$D" "$D/bin/pkg-config"

as=()
if [ "$(id -u)" = 0 ]; then
  chown -R nobody "$D/src"
  as=(setpriv --reuid=nobody --regid=nogroup --clear-groups --no-new-privs)
  unshare -n true 2>/dev/null && as=(unshare -n "${as[@]}")
fi
usr=$D/tree/usr
in_tree () {
  (cd "$D/src" && "${as[@]}" env -i HOME=/nonexistent PATH="$D/bin:/usr/bin:/bin" LANG=C.UTF-8 "$@")
}
build () {
  in_tree make LUA_PREFIX="$usr" OPENBLAS_PREFIX="$usr" HDF5_PREFIX="$usr" ZLIB_PREFIX="$usr" SQLITE_PREFIX="$usr" "$@"
}

# -- build, load, run -----------------------------------------------------------------------------
echo "user: $(in_tree id -un), pkg-config: $(in_tree pkg-config --version 2>/dev/null || echo hidden)"
in_tree make >"$D/log" 2>&1 && fail "make found libraries without being told where they are"
grep 'cannot find' "$D/log" || fail "make without libraries does not say what is missing"
build >"$D/log" 2>&1 || { tail -n 20 "$D/log"; fail "make"; }
build checks build/bin/host >"$D/log" 2>&1 || { tail -n 20 "$D/log"; fail "make checks"; }

for so in "$D"/src/build/lib/lurn/*.so "$D"/src/build/lib/lurn/f??/*.so "$D"/src/build/bin/*; do
  [ -e "$so" ] || continue
  in_tree ldd "$so" > "$D/ldd" || fail "ldd ${so##*/}"
  grep 'not found' "$D/ldd" && fail "${so##*/} lacks libraries"
  { grep -E "openblas|hdf5|liblua|libz\.|sqlite" "$D/ldd" || :; } | while read -r l _ at _; do
    case $at in "$D"/tree/*|"$D"/src/*) echo "  ${so##*/}: $l => ${at#"$D"/}" ;;
                *) fail "${so##*/} uses the installed $at" ;;
    esac
  done
done
grep -rhoE '[^ ]*/(lua|cblas|hdf5|zlib|sqlite3)\.h' "$D/src/build" --include='*.d' | grep -v "^$D/tree" | sort -u | grep . &&
  fail "headers from outside the unpacked tree"

echo 'for _, m in ipairs {"lurn.f32", "lurn.f64"} do require(m).info(); require(m .. ".sqlite"); print("  " .. m .. " loads") end' \
  > "$D/load.lua"
in_tree LUA_CPATH="$D/src/build/lib/?.so" build/bin/host "$D/load.lua" || fail "the modules do not load"
n=0
for check in "$D"/src/build/f??/check_*; do
  [ -x "$check" ] || continue
  in_tree "$check" >"$D/log" 2>&1 </dev/null || { tail "$D/log"; fail "${check##*/build/}"; }
  n=$((n + 1))
done
[ $n -gt 0 ] || fail "no C check ran"
echo "  $n C checks pass"
echo PASS
