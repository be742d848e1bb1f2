#!/usr/bin/env bash
# Who may include and call whom. Usage: layers.sh [ROOT]. Prints what breaks a rule as
# FILE:LINE: TEXT.
#
#   core                 names no plugin; clocks, sockets, threads and random numbers stand in the
#                        runtime's GLib implementation, the store's backend, the control socket, and
#                        the programs, nowhere else
#   core's model         (addresses, wire, model, allocator) does not know the runtime
#   plugins/X/X-wire*    the codec: core's address, wire and model headers, and its own
#   plugins/X/X.c, X-plugin*, X-control*, X-config*
#                        the plugin: installed core headers, and its own
#   plugins/X/X-*        everything else is a machine: as the plugin, but it never calls the runtime
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=${1:-${top_srcdir:-$here/../..}}
cd "$root" || exit 99
broken=0
checked=0

# forbid WHY PATTERN FILE [keep]: the pattern must not match; strings count only with "keep".
forbid()
{
  local hits
  hits=$(awk -v strings="${4:-drop}" -f "$here/strip.awk" "$3" | grep -nE -- "$2") || return 0
  printf '%s\n' "$hits" | sed "s|^\([0-9]*\):|$3:\1: |; s|\$|    <- $1|"
  broken=1
}

# includes FILE: the names that it includes, with their quotes or brackets, one a line.
includes()
{
  awk -f "$here/strip.awk" "$1" |
    sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*([<"][^>"]*[>"]).*/\1/p'
}

# only WHY PATTERN FILE: each include must match.
only()
{
  local name
  while read -r name; do
    grep -qE -- "^($2)\$" <<<"$name" && continue
    printf '%s: #include %s    <- %s\n' "$3" "$name" "$1"
    broken=1
  done < <(includes "$3")
}

files()
{
  local f
  for f in "$@"; do [ -f "$f" ] && printf '%s\n' "$f"; done
}

word='(^|[^A-Za-z0-9_.>])'
include='^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]'
call='[[:space:]]*\('
clocks='clock_gettime|gettimeofday|time|g_get_monotonic_time|g_get_real_time'
clocks+='|g_date_time_new_now[a-z_]*|nanosleep|usleep|sleep|g_usleep'
clocks="$word($clocks)$call"
randoms='rand|random|srand|srandom|rand_r|drand48|lrand48|arc4random[a-z_]*|getrandom|getentropy'
randoms+='|randombytes[a-z_]*|g_rand[a-z0-9_]*|g_random_[a-z_]*|g_uuid_string_random'
randoms="$word($randoms)$call"
threads='pthread_[a-z_]*|thrd_create|g_thread_[a-z_]*|g_mutex_[a-z_]*|g_cond_[a-z_]*'
threads+='|g_timeout_[a-z_]*|g_idle_[a-z_]*|g_unix_fd_add[a-z_]*'
threads="$word($threads)$call"
sockets='socket|socketpair|bind|listen|accept4?|sendto|sendmsg|sendmmsg|recvfrom|recvmsg|recvmmsg'
sockets+='|setsockopt|g_socket_[a-z_]*'
sockets="$word($sockets)$call"
world_headers='sys/socket|sys/time|sys/random|sys/ioctl|sys/un|time|pthread|threads|unistd|fcntl'
world_headers+='|poll|netdb|net/|netinet/|arpa/|ifaddrs|linux/|sqlite3|gio/'
world_headers="$include($world_headers)"
runtime_calls='mal_runtime_|mal_timer_|mal_udp_|mal_stream_|mal_listener_|mal_worker_'
runtime_calls+='|mal_interface_watch_'
runtime_calls="$word($runtime_calls)[a-z_]*$call"

plugins=$(for d in plugins/*/; do [ -d "$d" ] && basename "$d"; done)
plugin_names=$(printf '%s\n' $plugins | paste -sd'|')
# The runtime has an installed header; what is not in this list, plugins don't see.
installed=$(sed -nE 's|^core_headers \+= core/([a-z0-9-]+)\.h$|\1|p' core/local.mk | paste -sd'|')
[ -n "$installed" ] || { echo "core/local.mk: no core_headers found"; exit 99; }

for f in $(files core/*.c core/*.h); do
  checked=$((checked + 1))
  forbid "core includes no plugin" "${include}[^>\"]*plugins/" "$f" keep
  if [ -n "$plugin_names" ]; then
    forbid "core names no plugin" "${include}($plugin_names)[-.]" "$f" keep
    forbid "core names no plugin" "(^|[^A-Za-z0-9_])($plugin_names)_[a-z]" "$f"
  fi
  case $f in
    core/runtime-glib*|core/store-sqlite*|core/control*|core/ctl*) continue ;;
    core/mallocctl*|core/mallocd*|core/*-main.c) continue ;;
  esac
  forbid "clocks are the runtime's" "$clocks" "$f"
  forbid "random numbers are the runtime's" "$randoms" "$f"
  forbid "threads and loops are the runtime's" "$threads" "$f"
  forbid "sockets are the runtime's" "$sockets" "$f"
done

for f in $(files core/address* core/wire* core/model* core/allocator* core/api.h); do
  forbid "the model knows no I/O" "${include}(core/)?(runtime|store|control|plugin)" "$f" keep
  forbid "the model knows no I/O" "$runtime_calls" "$f"
done

for p in $plugins; do
  own="\"(plugins/$p/)?${p}[a-z0-9-]*\\.h\""
  own_wire="\"(plugins/$p/)?$p-wire[a-z0-9-]*\\.h\""
  for f in $(files plugins/$p/*.c plugins/$p/*.h); do
    checked=$((checked + 1))
    forbid "a plugin reaches the world through the runtime" "$world_headers" "$f" keep
    for pattern in "$clocks" "$randoms" "$threads" "$sockets"; do
      forbid "a plugin reaches the world through the runtime" "$pattern" "$f"
    done
    case ${f##*/} in
      $p-wire*)
        only "a codec includes core's address, wire and model headers and its own" \
          "<[a-z0-9_]+\\.h>|\"core/(api|address|wire|model)\\.h\"|$own_wire" "$f"
        forbid "a codec calls no runtime" "$runtime_calls" "$f" ;;
      $p.[ch]|$p-plugin*|$p-control*|$p-config*)
        only "a plugin includes installed core headers and its own" \
          "<[a-z0-9_/.-]+\\.h>|\"core/($installed)\\.h\"|$own" "$f" ;;
      *)
        only "a machine includes installed core headers and its own" \
          "<[a-z0-9_]+\\.h>|\"core/($installed)\\.h\"|$own" "$f"
        forbid "a machine calls no runtime" "$runtime_calls" "$f"
        forbid "a machine does not know the runtime" "${include}(core/)?(runtime|control)" "$f" keep
        ;;
    esac
  done
done

[ $checked -gt 0 ] || { echo "nothing to check below $root"; exit 99; }
echo "$checked files checked"
exit $broken
