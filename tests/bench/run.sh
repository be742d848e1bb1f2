#!/usr/bin/env bash
# Measures MADCAP against the bare UDP echo: a server and a client in network namespaces of their
# own, joined by a veth pair; prints one table. Nothing of it touches the host's network, all of it
# ends with the script.
#
# Usage: tests/bench/run.sh --all [--quick] [--json FILE] [--builddir DIR] [--state DIR]
#        tests/bench/run.sh [--builddir DIR] [--state DIR] [--ethernet POLICY] [--fill N]
#                           [-- OPTION-OF-BENCH-MADCAP...]
#   --all            the whole table, by table.py; within 8 minutes, with --quick within 90 s
#   --builddir DIR   where "make check" ran (default: .)
#   --state DIR      where the server's state goes; the disk matters (default: a folder in $TMPDIR)
#   --ethernet P     distinct (default), prefer, ignore
#   --fill N         instead of rates: memory and disk of N leases, restart with them, the idle cost
set -u
if [ "${1-}" = --all ]; then
  shift
  exec "${PYTHON3:-python3}" "$(dirname "$0")/table.py" "$@"
fi
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
if [ -z "${MALLOCD_BENCH_INSIDE-}" ]; then
  user=
  [ "$(id -u)" = 0 ] || user='--user --map-root-user'
  # shellcheck disable=SC2086
  MALLOCD_BENCH_INSIDE=1 exec unshare --net --mount $user "$BASH" "$0" "$@"
fi

builddir=. state= ethernet=distinct fill=
while [ $# -gt 0 ]; do
  case $1 in
    --builddir) builddir=$2; shift 2 ;;
    --state) state=$2; shift 2 ;;
    --ethernet) ethernet=$2; shift 2 ;;
    --fill) fill=$2; shift 2 ;;
    --) shift; break ;;
    *) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 2 ;;
  esac
done

work=$(mktemp -d "${TMPDIR:-/tmp}/mallocd-bench.XXXXXX") || exit 1
state=${state:-$work/state}
started=()
finish()
{
  for p in "${started[@]}"; do kill "$p" 2>/dev/null; done
  wait 2>/dev/null
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP
fail() { echo "run.sh: $*" >&2; cat "$work/log" >&2 2>/dev/null; exit 1; }

# Asks again every 10 ms until COMMAND succeeds.
await()
{
  local what=$1 i; shift
  for i in $(seq 3000); do "$@" >/dev/null 2>&1 && return; sleep 0.01; done
  fail "waited in vain for $what"
}

# ---- the network ---------------------------------------------------------------------------------

unshare --net sleep 86400 &
client=$!
started+=("$client")
elsewhere() { [ "$(readlink "/proc/$client/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
await "a second namespace" elsewhere
there() { nsenter --net="/proc/$client/ns/net" "$@"; }
ip link set lo up
ip link add bench0 type veth peer name bench1 netns "/proc/$client/ns/net" || fail "no veth pair"
ip address add 192.0.2.1/24 dev bench0 && ip link set bench0 up
there ip address add 192.0.2.2/24 dev bench1 && there ip link set bench1 up
there ip route add 239.0.0.0/8 dev bench1
await "the link" there ping -c 1 -W 1 192.0.2.1

# ---- the server ----------------------------------------------------------------------------------

cat >"$work/conf" <<CONF
[daemon]
roles = maas
plugins = madcap
state-dir = $state
control-socket = $work/socket
control-group =
log-level = warning
ethernet = $ethernet

[scope bench]
family = ipv4
first = 239.0.0.0
last = 239.255.255.255
ttl = 16
name[en] = Bench
default-language = en

[range bench]
scope = bench
first = 239.0.0.0
last = 239.255.255.0

[madcap]
interfaces = bench0
CONF
export MALLOCD_PLUGIN_DIR=${MALLOCD_PLUGIN_DIR:-$builddir/plugins/loadable}
start_server()
{
  "$builddir/mallocd" -c "$work/conf" --foreground >>"$work/log" 2>&1 &
  server=$!
  started+=("$server")
}
up() { kill -0 "$server" && "$builddir/mallocctl" -s "$work/socket" status; }
bench() { there "$builddir/tests/bench/bench-madcap" --server 192.0.2.1 --group 239.255.255.254 \
            --scope 239.0.0.0 --pid "$server" "$@"; }
start_server
await "the server" up

# ---- measurements --------------------------------------------------------------------------------

now_ms() { date +%s%3N; }
rss() { awk '/^VmRSS/ { print $2 * 1024 }' "/proc/$server/status"; }
cpu_ns() { cat "/proc/$server"/task/*/schedstat | awk '{ n += $1 } END { printf "%.0f\n", n }'; }
disk() { du -sb "$state" | cut -f1; }

if [ -z "$fill" ]; then
  "$builddir/tests/bench/bench-madcap" --echo 7777 &
  echo_server=$!
  started+=("$echo_server")
  echo "$(nproc) processors, $(uname -r), load $(cut -d' ' -f1 /proc/loadavg), state on" \
       "$(stat -f -c %T "${state%/*}"), ethernet = $ethernet"
  bench --echo 7777 --echo-pid "$echo_server" "$@"
  exit
fi

empty=$(rss) empty_disk=$(disk)
bench --fill "$fill" --lifetime 86400 "$@" || fail "the filling failed"
full=$(rss) full_disk=$(disk)
echo "memory: $((full / 1024)) KiB," \
  "$(((full - empty) / fill)) octets a lease (SQLite's cache included)"
echo "disk:   $((full_disk / 1024)) KiB, $(((full_disk - empty_disk) / fill)) octets a lease"
before=$(cpu_ns); sleep 5; after=$(cpu_ns)
echo "idle:   $(((after - before) / 5000)) us of processor time a second"
kill "$server"; wait "$server"
begun=$(now_ms)
start_server
await "the server's second start" up
echo "start:  $(($(now_ms) - begun)) ms until it answers; memory then $(($(rss) / 1024)) KiB," \
     "$((($(rss) - empty) / fill)) octets a lease"
begun=$(now_ms); up >/dev/null
echo "status: $(($(now_ms) - begun)) ms"
