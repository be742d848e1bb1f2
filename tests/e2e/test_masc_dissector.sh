#!/usr/bin/env bash
# The MASC dissector over the capture that tests/unit/test-masc-golden writes: every field of every
# golden message as the Python codec reads it, also of those that come in two segments, and expert
# information on the malformed ones behind them.
set -u
name=masc
fields_of=masc_dissector_fields.py
. "${top_srcdir:-.}/tests/e2e/dissector.sh"

# expect N TEXT: the Nth segment with something malformed says so with that text.
expect()
{
  sed -n "$1p" "$work/experts" | grep -qF -- "$2" && return 0
  printf 'malformed %s: no "%s" in: %s\n' "$1" "$2" "$(sed -n "$1p" "$work/experts")"
  failed=1
}

check_experts()
{
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
  count 2 masc.hint 'golden hints'
  dissect -Y 'masc.type == 4 && masc.type == 3' | grep -q 'KEEPALIVE; NOTIFICATION Cease' ||
    { echo 'no summary of two messages in one segment'; failed=1; }
  dissect -Y 'masc.mask_length == 23' |
    grep -q 'UPDATE CLAIM_TO_EXPAND 233.252.0.0/23 from 64501' ||
    { echo 'no summary of the claim to expand'; failed=1; }
}

dissect_all
