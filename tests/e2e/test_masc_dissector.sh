#!/usr/bin/env bash
# The MASC dissector over the capture that tests/unit/test-masc-golden writes: every field of every
# golden message as the Python codec reads it, also of those that come in two segments, and expert
# information on the malformed ones behind them. Started as root, it looks once more as an ordinary
# user, to whom Wireshark applies other rules.
set -u
top_srcdir=${top_srcdir:-.}
top_builddir=${top_builddir:-.}
python=${PYTHON3:-python3}
here=$top_srcdir/tests/e2e

command -v tshark >/dev/null || { echo "no tshark"; exit 77; }
tshark --version 2>/dev/null | grep -q 'with Lua' || { echo "tshark has no Lua"; exit 77; }
writer=$top_builddir/tests/unit/test-masc-golden
[ -x "$writer" ] || { echo "built without Criterion: nobody writes the capture"; exit 77; }

work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
mkdir "$work/tests"
# Not the capture of the unit test's own run, which may just be on its way.
top_builddir=$work "$writer" --filter 'capture/*' >"$work/writer" 2>&1 ||
  { cat "$work/writer"; exit 99; }
mv "$work/tests/masc.pcap" "$work"
cp "$top_srcdir/contrib/wireshark/masc.lua" "$work" || exit 99
chmod 755 "$work"
chmod 644 "$work"/masc.*
export HOME=$work/home XDG_CONFIG_HOME=$work/home
mkdir -m 777 "$HOME"

as_user=()
dissect()
{
  "${as_user[@]}" tshark -n -r "$work/masc.pcap" -X "lua_script:$work/masc.lua" "$@" \
    2>"$work/errors"
}

# expect N TEXT: the Nth segment with something malformed says so with that text.
expect()
{
  sed -n "$1p" "$work/experts" | grep -qF -- "$2" && return 0
  printf 'malformed %s: no "%s" in: %s\n' "$1" "$2" "$(sed -n "$1p" "$work/experts")"
  failed=1
}

check_all()
{
  failed=0
  mapfile -t fields < <("$python" "$here/masc_dissector_fields.py" fields)
  dissect -T fields -E separator=/t -E aggregator='|' -E occurrence=a "${fields[@]}" \
    >"$work/fields" || { cat "$work/errors"; return 1; }
  "$python" "$here/masc_dissector_fields.py" compare "$work/fields" || return 1

  dissect -V >"$work/verbose"
  if grep -n 'Lua Error\|Malformed Packet: MASC\|Exception occurred' "$work"/{verbose,errors}; then
    return 1
  fi
  # From the second session; the first has one refused attribute.
  dissect -Y 'masc.malformed && ipv6' -T fields -E separator=/t -e _ws.expert.message \
    >"$work/experts"
  expect 1 'unknown message type'
  expect 2 'wrong length'
  expect 3 'unsupported version'
  expect 4 'unrecognized address family'
  expect 5 'unacceptable hold time'
  expect 6 'invalid address'
  expect 7 'non-contiguous mask'
  expect 8 'may not send this'
  expect 9 'attribute length'
  expect 10 'unknown error'
  expect 11 'impossible length'
  [ "$(wc -l <"$work/experts")" = 11 ] || { echo 'not 11 malformed messages'; failed=1; }
  [ "$(dissect -Y masc.hint | wc -l)" = 2 ] || { echo 'two golden hints'; failed=1; }
  dissect -Y 'masc.type == 4 && masc.type == 3' | grep -q 'KEEPALIVE; NOTIFICATION Cease' ||
    { echo 'no summary of two messages in one segment'; failed=1; }
  dissect -Y 'masc.mask_length == 23' |
    grep -q 'UPDATE CLAIM_TO_EXPAND 233.252.0.0/23 from 64501' ||
    { echo 'no summary of the claim to expand'; failed=1; }
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
