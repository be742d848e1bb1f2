#!/usr/bin/env bash
# The AAP dissector over the capture that tests/unit/test-aap-golden writes: every field of every
# golden packet as the Python codec reads it, and expert information on the malformed ones behind
# them. Started as root, it looks once more as an ordinary user, to whom Wireshark applies other
# rules.
set -u
top_srcdir=${top_srcdir:-.}
top_builddir=${top_builddir:-.}
python=${PYTHON3:-python3}
here=$top_srcdir/tests/e2e

command -v tshark >/dev/null || { echo "no tshark"; exit 77; }
tshark --version 2>/dev/null | grep -q 'with Lua' || { echo "tshark has no Lua"; exit 77; }
writer=$top_builddir/tests/unit/test-aap-golden
[ -x "$writer" ] || { echo "built without Criterion: nobody writes the capture"; exit 77; }

work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
mkdir "$work/tests"
# Not the capture of the unit test's own run, which may just be on its way.
top_builddir=$work "$writer" --filter 'capture/*' >"$work/writer" 2>&1 ||
  { cat "$work/writer"; exit 99; }
mv "$work/tests/aap.pcap" "$work"
cp "$top_srcdir/contrib/wireshark/aap.lua" "$work" || exit 99
chmod 755 "$work"
chmod 644 "$work"/aap.*
export HOME=$work/home XDG_CONFIG_HOME=$work/home
mkdir -m 777 "$HOME"

as_user=()
dissect()
{
  "${as_user[@]}" tshark -n -r "$work/aap.pcap" -X "lua_script:$work/aap.lua" "$@" 2>"$work/errors"
}

# expect RSEQ TEXT: the packet is called malformed, with that text.
expect()
{
  awk -F'\t' -v rseq="$1" -v text="$2" '
    $1 == rseq && $2 != "" && index($3, text) { found = 1 }
    END { exit !found }' "$work/experts" && return 0
  printf 'rseq %s: no "%s" in: %s\n' "$1" "$2" "$(grep "^$1" "$work/experts")"
  failed=1
}

check_all()
{
  failed=0
  mapfile -t fields < <("$python" "$here/aap_dissector_fields.py" fields)
  dissect -T fields -E separator=/t -E aggregator='|' -E occurrence=a "${fields[@]}" \
    >"$work/fields" || { cat "$work/errors"; return 1; }
  "$python" "$here/aap_dissector_fields.py" compare "$work/fields" || return 1

  dissect -V >"$work/verbose"
  if grep -n 'Lua Error\|Malformed Packet: AAP\|Exception occurred' "$work"/{verbose,errors}; then
    return 1
  fi
  dissect -T fields -E separator=/t -E aggregator='|' -e aap.rseq -e aap.malformed \
    -e _ws.expert.message >"$work/experts"
  expect 257 'version is not 0'
  expect 258 'unknown message type'
  expect 259 'unknown address family'
  expect 260 'wrong length'
  expect 261 'first address is above the last'
  expect 262 'address is not multicast'
  expect 263 'wrong length'
  expect 264 'wrong length'
  expect 265 'wrong length'
  expect 266 'wrong length'
  expect 267 'no range'
  expect 268 'flags or scope differ'
  expect 269 'request for no address'
  [ "$(dissect -Y 'aap.malformed && !aap.rseq' | wc -l)" = 1 ] ||
    { echo 'the datagram that is too short has no expert information'; failed=1; }
  [ "$(dissect -Y aap.ended | wc -l)" = 1 ] || { echo 'one golden packet ends a range'; failed=1; }
  [ "$(dissect -Y 'aap.unmet && !aap.malformed' | wc -l)" = 2 ] ||
    { echo 'two golden ANAs'; failed=1; }
  dissect -Y 'aap.resent == 1' | grep -q 'ASA rseq 7 mseq 0 (resent) 233.252.0.0 to ' ||
    { echo 'no summary of the resent announcement'; failed=1; }
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
