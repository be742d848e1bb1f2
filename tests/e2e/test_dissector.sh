#!/usr/bin/env bash
# The Wireshark dissector over the capture that tests/unit/test-madcap-golden writes: every field of
# every golden packet as the Python codec reads it, and expert information on the malformed ones
# behind them. Started as root, it looks once more as an ordinary user, to whom Wireshark applies
# other rules.
set -u
top_srcdir=${top_srcdir:-.}
top_builddir=${top_builddir:-.}
python=${PYTHON3:-python3}
here=$top_srcdir/tests/e2e

command -v tshark >/dev/null || { echo "no tshark"; exit 77; }
tshark --version 2>/dev/null | grep -q 'with Lua' || { echo "tshark has no Lua"; exit 77; }
writer=$top_builddir/tests/unit/test-madcap-golden
[ -x "$writer" ] || { echo "built without Criterion: nobody writes the capture"; exit 77; }

work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
mkdir "$work/tests"
# Not the capture of the unit test's own run, which may just be on its way.
top_builddir=$work "$writer" --filter 'capture/*' >"$work/writer" 2>&1 ||
  { cat "$work/writer"; exit 99; }
mv "$work/tests/madcap.pcap" "$work"
cp "$top_srcdir/contrib/wireshark/madcap.lua" "$work" || exit 99
chmod 755 "$work"
chmod 644 "$work"/madcap.*
export HOME=$work/home XDG_CONFIG_HOME=$work/home
mkdir -m 777 "$HOME"

as_user=()
dissect()
{
  "${as_user[@]}" tshark -n -r "$work/madcap.pcap" -X "lua_script:$work/madcap.lua" "$@" \
    2>"$work/errors"
}

# expect XID EXPERT TEXT: the packet has that kind of expert information, with that text.
expect()
{
  awk -F'\t' -v xid="$1" -v text="$3" -v kind="$2" '
    BEGIN { column["syntax"] = 2; column["invalid"] = 3; column["unknown_option"] = 4 }
    $1 == xid && $column[kind] != "" && index($5, text) { found = 1 }
    END { exit !found }' "$work/experts" && return 0
  printf 'xid %s: no %s with "%s" in: %s\n' "$1" "$2" "$3" "$(grep "^$1" "$work/experts")"
  failed=1
}

check_all()
{
  failed=0
  mapfile -t fields < <("$python" "$here/dissector_fields.py" fields)
  dissect -T fields -E separator=/t -E aggregator='|' -E occurrence=a "${fields[@]}" \
    >"$work/fields" || { cat "$work/errors"; return 1; }
  "$python" "$here/dissector_fields.py" compare "$work/fields" || return 1

  dissect -V >"$work/verbose"
  if grep -n 'Lua Error\|Malformed Packet: MADCAP\|Exception occurred' \
    "$work"/{verbose,errors}; then
    return 1
  fi
  dissect -T fields -E separator=/t -E aggregator='|' -e madcap.xid -e madcap.syntax \
    -e madcap.invalid -e madcap.unknown_option -e _ws.expert.message >"$work/experts"
  expect 0x00000101 invalid 'Lease Identifier: option is there twice'
  expect 0x00000102 invalid 'Multicast Scope: wrong length'
  expect 0x00000103 invalid 'minimum is above desired'
  expect 0x00000104 syntax 'no End option'
  expect 0x00000105 syntax 'option 3 runs past the end'
  expect 0x00000106 syntax 'octets after End'
  expect 0x00000107 syntax 'version is not 0'
  expect 0x00000108 invalid 'unknown message type'
  expect 0x00000109 invalid 'unknown address family'
  expect 0x0000010a unknown_option 'Unknown option'
  expect 0x0000010b invalid 'Multicast Scope List: wrong length'
  expect 0x0000010c invalid 'Multicast Scope Nesting State: wrong length'
  [ "$(dissect -Y 'madcap.syntax && !madcap.xid' | wc -l)" = 1 ] ||
    { echo 'the datagram that is too short has no expert information'; failed=1; }
  return $failed
}

status=0
check_all || status=1
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
  echo 'as an ordinary user:'
  as_user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  check_all || status=1
fi
exit $status
