#!/usr/bin/env bash
# The quickstart on what is already built, in each kind of network that this system permits: it
# leases, starts again with the leases still there, and leaves nothing behind when it is stopped.
set -u
top_srcdir=$(cd "${top_srcdir:-.}" && pwd)
top_builddir=$(cd "${top_builddir:-.}" && pwd)
script=$top_srcdir/contrib/quickstart.sh
work=$(mktemp -d /tmp/mal-qs.XXXXXX) || exit 99
failed=0
ran=0
export SHELL=/bin/sh

quickstart()
{
  "${inside[@]}" bash "$script" --builddir "$top_builddir" --dir "$work/$mode" --net "$mode" "$@"
}
complain() { echo "$mode: $*"; failed=1; }

# expect WORD...: all of them in the last output.
expect()
{
  local word
  for word; do
    grep -qF -- "$word" "$work/out" || complain "no \"$word\" in the output:" "$(cat "$work/out")"
  done
}

ours() { grep -slz "^MALLOCD_QUICKSTART=$work/$mode$" /proc/[0-9]*/environ; }

try()
{
  local first
  ran=$((ran + 1))
  quickstart >"$work/out" 2>&1 || { complain "start fails:" "$(cat "$work/out")"; return; }
  expect DISCOVER OFFER REQUEST ACK 'Site local' '239.255.' 'leases     1 with 2 addresses' \
    'ok, version'
  grep -q '^starts' "$work/out" && complain "a lease from now on is shown as one that has not begun"
  first=$(sed -n 's/^lease  *//p' "$work/out" | head -n 1)
  quickstart lease --scope 'Organization local' --count 16 >"$work/out" 2>&1 ||
    complain "lease fails"
  expect 239.192. 'state      leased'
  quickstart >"$work/out" 2>&1 || complain "a second start fails:" "$(cat "$work/out")"
  expect "$first" 'leases     3 with 20 addresses'
  quickstart status >"$work/out" 2>&1 || complain "status fails"
  expect "$first" 'ok, version'
  echo 'mallocctl scopes' | quickstart shell >"$work/out" 2>&1
  expect '239.195.255.255'
  quickstart stop >"$work/out" 2>&1 || complain "stop fails"
  quickstart status >"$work/out" 2>&1 && complain "status works after stop"
  expect 'not running'
  [ -z "$(ours)" ] || complain "processes are left:" "$(ours)"
  quickstart clean >"$work/out" 2>&1 || complain "clean fails"
  [ ! -e "$work/$mode/state" ] || complain "clean leaves something"
}

cleanup()
{
  local file pid
  for mode in user loopback namespaces; do
    for file in $(ours); do
      pid=${file#/proc/}
      kill "${pid%/environ}" 2>/dev/null
    done
  done
  rm -rf "$work"
}
trap cleanup EXIT

# Namespaces with names go into a /run of the test's own, one that lives as long as its holder.
hold()
{
  local tries
  MALLOCD_QUICKSTART=$work/$mode "$@" sleep 600 </dev/null >/dev/null 2>&1 &
  holder=$!
  for ((tries = 0; tries < 500; tries++)); do
    [ "$(cat "/proc/$holder/comm" 2>/dev/null)" = sleep ] && return 0
    kill -0 "$holder" 2>/dev/null || return 1
    sleep 0.02
  done
  return 1
}

mode=user
inside=()
if unshare -Urmn ip link add try0 type veth 2>/dev/null; then
  try
else
  echo 'no namespaces for ordinary users here'
fi
for mode in loopback namespaces; do
  as=()
  [ "$(id -u)" = 0 ] || as=(-Ur)
  if ! unshare "${as[@]}" -mn ip link add try0 type veth 2>/dev/null ||
    ! hold unshare "${as[@]}" -mn; then
    echo "$mode: no namespace to try it in"
    continue
  fi
  user=()
  [ "$(id -u)" = 0 ] || user=(-U --preserve-credentials)
  inside=(nsenter "${user[@]}" -m -n -t "$holder" env)
  # The holder bears the mark that processes left behind would have.
  unset -f ours
  ours()
  {
    grep -slz "^MALLOCD_QUICKSTART=$work/$mode$" /proc/[0-9]*/environ | grep -v "^/proc/$holder/"
  }
  if "${inside[@]}" ip link set lo up && "${inside[@]}" mount -t tmpfs tmpfs /run; then
    try
  else
    echo "$mode: no /run for it"
  fi
  kill "$holder"
done
[ $ran -gt 0 ] || exit 77
exit $failed
