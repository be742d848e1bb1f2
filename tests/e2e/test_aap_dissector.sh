#!/usr/bin/env bash
# The AAP dissector over the capture that tests/unit/test-aap-golden writes: every field of every
# golden packet as the Python codec reads it, and expert information on the malformed ones behind
# them.
set -u
name=aap
fields_of=aap_dissector_fields.py
. "${top_srcdir:-.}/tests/e2e/dissector.sh"

# expect RSEQ TEXT: the packet is called malformed, with that text.
expect()
{
  awk -F'\t' -v rseq="$1" -v text="$2" '
    $1 == rseq && $2 != "" && index($3, text) { found = 1 }
    END { exit !found }' "$work/experts" && return 0
  printf 'rseq %s: no "%s" in: %s\n' "$1" "$2" "$(grep "^$1" "$work/experts")"
  failed=1
}

check_experts()
{
  experts aap.rseq aap.malformed
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
  expect 273 'wrong length'
  count 2 'aap.auth.sender == 0x0123456789abcdef && aap.auth.counter == 7 && !aap.malformed' \
    'authenticated packets'
  count 1 'aap.rseq == 271 && aap.auth.kind == 1 && aap.auth.key_id == 0xcafe0123' 'a shared key'
  count 1 'aap.rseq == 272 && aap.auth.kind == 2' 'a signature'
  count 1 'aap.malformed && !aap.rseq' 'expert information on the datagram that is too short'
  count 1 'aap.ended && aap.rseq < 257' 'golden packets that end a range'
  count 2 'aap.unmet && !aap.malformed && !aap.auth.kind' 'golden ANAs'
  dissect -Y 'aap.resent == 1' | grep -q 'ASA rseq 7 mseq 0 (resent) 233.252.0.0 to ' ||
    { echo 'no summary of the resent announcement'; failed=1; }
}

dissect_all
