#!/usr/bin/env bash
# The core library exports what the installed headers declare with MAL_API, and what the two
# programs need; a plugin exports its descriptor. Usage: exports.sh [SOURCE_ROOT BUILD_ROOT]
set -u
here=$(cd "$(dirname "$0")" && pwd)
src=${1:-${top_srcdir:-$here/../..}}
build=${2:-${top_builddir:-.}}
core=$build/core/.libs/libmallocd-core.so
broken=0

# What mallocd and mallocctl call and plugins must not.
private='
mal_ctl_main
mal_daemon_main
mal_runtime_glib_new
mal_runtime_glib_free
mal_runtime_glib_context
'

exported()
{
  nm -D --defined-only -- "$1" | awk '{ print $NF }' |
    grep -vE '^(_init|_fini|__.*|_edata|_end|.*gcov.*|mangle_path|llvm_.*)$' | sort -u
}

# Every word of every declaration that MAL_API begins.
declared()
{
  local header
  for header in $(sed -nE 's|^core_headers \+= (core/[a-z0-9-]+\.h)$|\1|p' "$src/core/local.mk"); do
    awk -v strings=drop -f "$here/strip.awk" "$src/$header" | grep -v '^#' |
      tr '\n' ' ' | tr ';' '\n' | grep -w MAL_API |
      grep -oE '[A-Za-z_][A-Za-z0-9_]*[[:space:]]*(\(|$|\[)' | grep -oE '[A-Za-z0-9_]+'
  done | sort -u
}

[ -f "$core" ] || { echo "$core is missing: build first"; exit 99; }
allowed=$( { declared; printf '%s' "$private"; } | sort -u)
for symbol in $(exported "$core"); do
  grep -qx -- "$symbol" <<<"$allowed" && continue
  echo "libmallocd-core exports $symbol, which no installed header declares with MAL_API"
  broken=1
done

for plugin in "$build"/plugins/*/.libs/*.so; do
  [ -f "$plugin" ] || continue
  symbols=$(exported "$plugin" | tr '\n' ' ')
  [ "$symbols" = "mal_plugin " ] && continue
  echo "${plugin##*/} must export mal_plugin alone; it exports: $symbols"
  broken=1
done
exit $broken
