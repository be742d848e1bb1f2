#!/usr/bin/env bash
# Builds mallocd, starts it on a test network of its own, and leases multicast addresses from the
# other end of that network by MADCAP. All it makes is in one folder; your own network sees nothing.
#
# Usage: contrib/quickstart.sh [OPTION...] [COMMAND]
#   start            (default) build, start the server, lease addresses; again: with a fresh server
#   status           how the server is
#   lease [OPTION..] lease addresses from the client's end; options of mallocctl request
#   shell [server|client]   a shell there, with mallocctl on its path
#   stop             end the server and its network; the leases stay on disk
#   clean            stop, and delete the folder
# Options:
#   --builddir DIR   use what is built there (DIR is where "make" ran), build nothing
#   --dir DIR        the folder (default: quickstart/ beside contrib/)
#   --net MODE       namespaces (root), user (namespaces of an ordinary user), loopback; default:
#                    the first of them that this system permits
set -u
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
top=$(cd "$(dirname "$0")/.." && pwd)
dir=
builddir=
mode=
command=start
jobs=$(nproc 2>/dev/null || echo 2)

usage() { sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; }
fail() { echo "quickstart: $*" >&2; exit 1; }
say() { printf '\n== %s\n' "$*"; }

while [ $# -gt 0 ]; do
  case $1 in
    --builddir) builddir=$(cd "${2-}" && pwd) || exit 2; shift 2 ;;
    --dir) mkdir -p "${2-}" && dir=$(cd "$2" && pwd) || exit 2; shift 2 ;;
    --net) mode=${2-}; shift 2 ;;
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
    *) command=$1; shift; break ;;
  esac
done
case $mode in '' | namespaces | user | loopback) ;; *) usage >&2; exit 2 ;; esac

if [ -z "$dir" ]; then
  dir=$top/quickstart
  mkdir -p "$dir" || exit 1
fi
[ -w "$dir" ] || fail "$dir belongs to somebody else: give another folder with --dir"
run=$dir/run
log=$dir/build.log
config=$dir/mallocd.conf
# A socket's path is short.
sockets=$run
[ ${#sockets} -lt 80 ] ||
  sockets=/tmp/mallocd-quickstart-$(id -u)-$(cksum <<<"$dir" | cut -d' ' -f1)
socket=$sockets/control.sock

# ---- the network: a pair of namespaces, or loopback ----------------------------------------------

server_space=mallocd-server
client_space=mallocd-client
server4=192.0.2.1 client4=192.0.2.2
server6=2001:db8::1 client6=2001:db8::2

remembered() { cat "$run/$1" 2>/dev/null; }

# alive FILE NAME: the process of that pid file lives and is what we started.
alive()
{
  local pid
  pid=$(remembered "$1") && [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ] &&
    grep -qz "^MALLOCD_QUICKSTART=$dir$" "/proc/$pid/environ" 2>/dev/null
}

# The words to put in front of a command that runs in a namespace.
door_to()
{
  case $mode in
    namespaces) door=(ip netns exec "$1") ;;
    user) door=(nsenter --preserve-credentials -U -m -n -t "$(remembered "$1.pid")") ;;
    loopback) door=(env) ;;
  esac
}

in_space()
{
  local door
  door_to "$1"
  shift
  "${door[@]}" "$@"
}
in_server() { in_space $server_space "$@"; }
in_client() { in_space $client_space "$@"; }

may_user() { unshare -Urmn ip link add try0 type veth 2>/dev/null; }
may_namespaces() { [ "$(id -u)" -eq 0 ] && unshare -mn ip link add try0 type veth 2>/dev/null; }

choose_mode()
{
  [ -z "$mode" ] || return 0
  if may_namespaces; then mode=namespaces
  elif may_user; then mode=user
  else mode=loopback
  fi
}

# A process that keeps a pair of namespaces of an ordinary user: it ends when we end it.
hold_space()
{
  local name=$1
  shift
  MALLOCD_QUICKSTART=$dir "$@" sleep infinity </dev/null >/dev/null 2>&1 &
  echo $! >"$run/$name.pid"
  disown
}

# unshare becomes sleep when its namespaces are there.
wait_for_space()
{
  local tries
  for ((tries = 0; tries < 500; tries++)); do
    alive "$1.pid" sleep && return 0
    sleep 0.02
  done
  fail "namespace $1 does not come up"
}

make_spaces()
{
  case $mode in
    namespaces)
      [ ! -e /run/netns/$server_space ] ||
        fail "another quickstart runs: stop it, or: ip netns delete $server_space;" \
          "ip netns delete $client_space"
      touch "$run/netns"
      ip netns add $server_space && ip netns add $client_space || return 1
      ip -n $server_space link add mal-server type veth peer name mal-client netns $client_space ;;
    user)
      hold_space $server_space unshare -Urmn
      wait_for_space $server_space
      hold_space $client_space nsenter --preserve-credentials -U -m \
        -t "$(remembered $server_space.pid)" unshare -n
      wait_for_space $client_space
      in_server ip link add mal-server type veth peer name mal-client \
        netns "$(remembered $client_space.pid)" ;;
  esac
}

# set_up_end SPACE INTERFACE IPV4 IPV6, without duplicate address detection, which takes a second. A
# system without IPv6 does without.
set_up_end()
{
  local space=$1 interface=$2
  in_space "$space" ip link set lo up
  in_space "$space" ip link set "$interface" addrgenmode none 2>/dev/null
  in_space "$space" ip address add "$3/24" dev "$interface"
  in_space "$space" ip address add "$4/64" dev "$interface" nodad 2>/dev/null
  in_space "$space" ip link set "$interface" up
}

make_network()
{
  interface_server=lo interface_client=lo
  if [ "$mode" != loopback ]; then
    make_spaces || return 1
    interface_server=mal-server interface_client=mal-client
    set_up_end $server_space mal-server $server4 $server6 &&
      set_up_end $client_space mal-client $client4 $client6 || return 1
  fi
  printf '%s\n' "$mode" >"$run/mode"
  printf '%s\n' "$interface_client" >"$run/interface"
}

end_process()
{
  local pid tries
  alive "$1" "$2" || return 0
  pid=$(remembered "$1")
  kill "$pid" 2>/dev/null
  for ((tries = 0; tries < 1000; tries++)); do
    [ -e "/proc/$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ] || return 0
    sleep 0.02
  done
  kill -KILL "$pid" 2>/dev/null
}

stop()
{
  [ -d "$run" ] || return 0
  end_process mallocd.pid mallocd
  end_process $client_space.pid sleep
  end_process $server_space.pid sleep
  if [ -e "$run/netns" ]; then
    ip netns delete $client_space 2>/dev/null
    ip netns delete $server_space 2>/dev/null
  fi
  rm -rf "$run"
  [ "$sockets" = "$run" ] || rm -rf "$sockets"
}

# ---- build ---------------------------------------------------------------------------------------

step()
{
  "$@" >>"$log" 2>&1 && return 0
  tail -n 30 "$log"
  fail "$* failed; the whole output is in $log"
}

build()
{
  say "Build dependencies"
  "$top/contrib/install-deps.sh" build || exit 1
  say "Building in $dir/build (log: $log)"
  : >"$log"
  [ ! -e "$top/config.status" ] ||
    fail "this source tree has a build of its own, which keeps others out: run make distclean first"
  mkdir -p "$dir/build" && cd "$dir/build" || exit 1
  [ -x "$top/configure" ] || step "$top/autogen.sh"
  [ -x config.status ] || step "$top/configure" --prefix="$dir/prefix" \
    --sysconfdir="$dir/prefix/etc" --localstatedir="$dir/prefix/var" \
    --with-state-dir="$dir/state" --with-run-dir="$sockets" --disable-tests
  step make -j"$jobs"
  step make install
  cd "$top" || exit 1
}

programs()
{
  if [ -n "$builddir" ]; then
    mallocd=$builddir/mallocd mallocctl=$builddir/mallocctl
    export MALLOCD_PLUGIN_DIR=${MALLOCD_PLUGIN_DIR:-$builddir/plugins/loadable}
  else
    mallocd=$dir/prefix/sbin/mallocd mallocctl=$dir/prefix/bin/mallocctl
  fi
  [ -x "$mallocd" ] && [ -x "$mallocctl" ]
}

# ---- the server ----------------------------------------------------------------------------------

write_config()
{
  cat >"$config" <<END
# Made by contrib/quickstart.sh; mallocd.conf(5) explains it.
[daemon]
roles = maas
plugins = madcap
state-dir = $dir/state
control-socket = $socket
control-group =

[scope local]
family = ipv4
first = 239.255.0.0
last = 239.255.255.255
ttl = 16
name[en] = Site local
name[fr] = Site
default-language = en
nests-inside = org

[scope org]
family = ipv4
first = 239.192.0.0
last = 239.195.255.255
ttl = 32
name[en] = Organization local
default-language = en

[scope site6]
family = ipv6
first = ff15::db8:8000:0
last = ff15::db8:8fff:ffff
ttl = 16
name[en] = Site local, IPv6
default-language = en

[range local]
scope = local
first = 239.255.1.0
last = 239.255.199.255

[range org]
scope = org
first = 239.192.1.0
last = 239.193.255.255

[range site6]
scope = site6
first = ff15::db8:8000:0
last = ff15::db8:8000:ffff

[madcap]
interfaces = $interface_server
END
}

ctl() { "$mallocctl" -s "$socket" "$@"; }
direct() { in_client "$mallocctl" --direct --interface "$(remembered interface)" "$@"; }
show() { printf '\n$ %s\n' "$1"; shift; "$@"; }

# The interface has its carrier and its groups when the server says so.
is_serving()
{
  local answer
  answer=$(ctl --json madcap servers 2>/dev/null) || return 1
  [[ $answer == *239.255.255.254* && $answer == *"$interface_server"* ]]
}

start_server()
{
  local tries door
  mkdir -p "$dir/state" "$sockets" && chmod 700 "$dir/state" "$sockets" || exit 1
  door_to $server_space
  MALLOCD_QUICKSTART=$dir "${door[@]}" "$mallocd" -c "$config" --foreground \
    </dev/null >"$dir/mallocd.log" 2>&1 &
  echo $! >"$run/mallocd.pid"
  disown
  for ((tries = 0; tries < 1000; tries++)); do
    is_serving && return 0
    [ -e "/proc/$(remembered mallocd.pid)" ] || break
    sleep 0.02
  done
  cat "$dir/mallocd.log"
  fail "the server does not come up; its log is $dir/mallocd.log"
}

where()
{
  case $mode in
    namespaces) echo "in network namespaces $server_space and $client_space" ;;
    user) echo "in network namespaces of your own" ;;
    loopback) echo "on loopback" ;;
  esac
}

start()
{
  stop
  [ -n "$builddir" ] || build
  programs || fail "there is no mallocd and mallocctl in ${builddir:-$dir/prefix}"
  choose_mode
  mkdir -p "$run" || exit 1
  make_network || { stop; fail "the test network can't be made; try --net loopback"; }
  say "Starting the server $(where)"
  write_config
  start_server
  printf '%s\n' "$builddir" >"$run/builddir"
  grep -m 1 ' madcap.listening: ' "$dir/mallocd.log"

  say "A client leases two addresses over MADCAP multicast"
  show 'mallocctl --direct request --scope "Site local" --count 2 --lifetime 2h' \
    direct request --scope "Site local" --count 2 --lifetime 2h || fail "no lease"
  say "What the server says"
  show "mallocctl scopes" ctl scopes
  show "mallocctl leases" ctl leases
  show "mallocctl status" ctl status
  say "Go on"
  cat <<END
  $0 lease --scope "Organization local" --count 16
                                       lease more (options: those of mallocctl request)
  $0 shell                             a shell beside the server, then: mallocctl map local
  $0 shell client                      a shell at the other end
  $0 status
  $0 stop                              the leases stay on disk for the next start
The configuration is $config, the log $dir/mallocd.log.
END
}

# ---- commands about what runs --------------------------------------------------------------------

running()
{
  alive mallocd.pid mallocd || fail "not running: start it with $0"
  mode=$(remembered mode)
  builddir=$(remembered builddir)
  programs || fail "what was built is gone: run $0 again"
}

shell()
{
  local at=${1:-server}
  short=$(mktemp -d) || exit 1
  trap 'rm -rf "$short"' EXIT
  printf '#!/bin/sh\n%sexec "%s" -s "%s" "$@"\n' \
    "${MALLOCD_PLUGIN_DIR:+MALLOCD_PLUGIN_DIR='$MALLOCD_PLUGIN_DIR' }" "$mallocctl" "$socket" \
    >"$short/mallocctl"
  chmod 755 "$short/mallocctl"
  PATH=$short:$PATH
  case $at in
    server) in_server "${SHELL:-/bin/sh}" ;;
    client) echo 'try: mallocctl --direct request --scope "Site local"' >&2
            in_client "${SHELL:-/bin/sh}" ;;
    *) usage >&2; exit 2 ;;
  esac
}

case $command in
  start) start ;;
  status) running; ctl status; ctl leases ;;
  lease) running; direct request "$@" ;;
  shell) running; shell "$@" ;;
  stop) stop; echo "Stopped." ;;
  clean)
    stop
    rm -rf "$dir"/{build,prefix,state,mallocd.conf,mallocd.log,build.log}
    rmdir "$dir" 2>/dev/null
    echo "Gone." ;;
  *) usage >&2; exit 2 ;;
esac
