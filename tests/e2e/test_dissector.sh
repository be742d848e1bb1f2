#!/usr/bin/env bash
# The Wireshark dissector over the capture that tests/unit/test-madcap-golden writes: every field of
# every golden packet as the Python codec reads it, and expert information on the malformed ones
# behind them.
set -u
name=madcap
fields_of=dissector_fields.py
. "${top_srcdir:-.}/tests/e2e/dissector.sh"

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

check_experts()
{
  experts madcap.xid madcap.syntax madcap.invalid madcap.unknown_option
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
  count 1 'madcap.syntax && !madcap.xid' 'expert information on the datagram that is too short'
}

dissect_all
