#!/bin/sh
# usage: packages.sh GROUP... [--try GROUP...]
#
# Installs the Debian packages of these groups (listed in .packages) that are missing. With none
# missing it does nothing and needs neither root nor network. Groups after --try are welcome but
# not needed: without them it says so and goes on.
set -u
list=$(dirname "$0")/../.packages

need= wish= trying=
for arg in "$@"; do
  if [ "$arg" = --try ]; then trying=1; continue; fi
  names=$(sed 's/#.*//' "$list" | awk -v g="$arg" '$1 == g { for (i = 2; i <= NF; i++) print $i }')
  [ -n "$names" ] || { echo "packages.sh: no group \"$arg\" in .packages" >&2; exit 2; }
  if [ $trying ]; then wish="$wish $names"; else need="$need $names"; fi
done

# Not a Debian: the build itself will say what it does not find.
command -v dpkg-query >/dev/null 2>&1 || exit 0

missing () {
  for p in "$@"; do
    case $(dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null) in
      *installed*) ;;
      *) printf '%s ' "$p" ;;
    esac
  done
}
# Word splitting is what turns these lists into arguments.
# shellcheck disable=SC2086
need=$(missing $need) wish=$(missing $wish)
[ -n "$need$wish" ] || exit 0

if [ "$(id -u)" = 0 ]; then as_root=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then as_root="sudo -n"
else
  if [ -n "$need" ]; then
    echo "lurn: these Debian packages are missing, and installing them takes root or sudo without a password:" >&2
    echo "  apt-get install --no-install-recommends $need$wish" >&2
    exit 1
  fi
  echo "lurn: going on without: $wish(not installed; neither root nor sudo here)" >&2
  exit 0
fi

apt () {
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
install () {
  apt install --no-install-recommends "$@" >>"$log" 2>&1
}

echo "lurn: installing $need$wish"
# A failed update is no reason to stop: what is wanted may be in a cache.
apt update >"$log" 2>&1 || true
# shellcheck disable=SC2086
{
  install $need $wish && exit 0
  if [ -z "$need" ] || install $need; then
    echo "lurn: going on without: $wish(could not be installed)" >&2
    exit 0
  fi
}
tail -n 5 "$log" >&2
echo "lurn: could not install these Debian packages (is the network there?): $need" >&2
exit 1
