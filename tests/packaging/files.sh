#!/usr/bin/env bash
# What is installed beside the programs says what is true: the .pc file, the unit, the sample
# configuration. Whatever has no tool here to check it is left out, aloud.
set -u
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}" "${top_builddir:=.}"
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
failed=0

check()  # NAME COMMAND...
{
  local name=$1 out
  shift
  if out=$("$@" 2>&1); then
    echo "ok   $name"
  else
    printf 'FAIL %s\n%s\n' "$name" "$out"
    failed=1
  fi
}
same() { [ "$1" = "$2" ] || { echo "expected '$2', got '$1'"; return 1; }; }
grepped() { grep -qE -- "$1" "$2" || { echo "no $1 in $2"; return 1; }; }
none_left() { ! grep -nE '@[A-Za-z_]+@' "$@"; }

pc() { PKG_CONFIG_PATH=$top_builddir/contrib pkg-config "$@" mallocd; }
check "no placeholder is left" none_left "$top_builddir/contrib/mallocd.pc" \
  "$top_builddir"/contrib/systemd/mallocd*.service
abi=$(awk '$2 == "MAL_PLUGIN_ABI" { print $3 }' "$top_srcdir/core/plugin.h")
check "mallocd.pc: pluginabi" same "$(pc --variable=pluginabi)" "$abi"
check "mallocd.pc: plugindir" same "$(pc --variable=plugindir)" \
  "$(pc --variable=libdir)/mallocd/plugins"
check "mallocd.pc: the library" same "$(pc --libs-only-l | tr ' ' '\n' | grep mallocd)" \
  "-lmallocd-core"

unit=$top_builddir/contrib/systemd/mallocd.service
check "unit: no capability" grepped '^CapabilityBoundingSet=$' "$unit"
if command -v systemd-analyze >/dev/null; then
  # The program is not installed, the unit's other lines are judged all the same.
  sed -E 's|^(ExecStart=)[^ ]+|\1/bin/true|' "$unit" >"$tmp/mallocd.service"
  verify()
  {
    local out
    out=$(systemd-analyze verify --man=no "$1" 2>&1 | grep -F mallocd)
    [ -z "$out" ] || { echo "$out"; return 1; }
  }
  check "unit: systemd-analyze verify" verify "$tmp/mallocd.service"
  sed -E 's|^(ExecStart=)[^ ]+|\1/bin/true|' "${unit%.service}-bird-ended.service" \
    >"$tmp/mallocd-bird-ended.service"
  cp "$top_srcdir/contrib/systemd/mallocd-bird-ended.timer" "$tmp"
  check "timer for BIRD: systemd-analyze verify" verify "$tmp/mallocd-bird-ended.timer"
  if systemd-analyze --help 2>/dev/null | grep -q -- --offline; then
    check "unit: exposure below 2.0" systemd-analyze security --offline=true --threshold=20 \
      "$tmp/mallocd.service"
  fi
else
  echo "left out: systemd-analyze is not here"
fi

if [ -x "$top_builddir/mallocd" ]; then
  check "the sample configuration passes the daemon's check" \
    "$top_builddir/mallocd" --check -c "$top_srcdir/contrib/mallocd.conf.sample"
else
  echo "left out: mallocd was not built"
fi
exit $failed
