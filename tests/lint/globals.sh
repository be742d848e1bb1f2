#!/usr/bin/env bash
# No mutable global or static, of a function either: two daemons can share a process. Read from the
# object files: whatever lies in a writable section that is not read-only after relocation.
# Usage: globals.sh [BUILD_ROOT]
set -u
build=${1:-${top_builddir:-.}}
broken=0
checked=0

if grep -qsE '^MAL_CFLAGS = .*(-fsanitize|--coverage)' "$build/Makefile"; then
  echo "instrumented objects have globals of their own"
  exit 77
fi

for object in "$build"/core/.libs/*.o "$build"/plugins/*/.libs/*.o; do
  [ -f "$object" ] || continue
  case $object in
    */core/.libs/runtime-glib*|*/core/.libs/store-sqlite*) continue ;;
  esac
  checked=$((checked + 1))
  found=$(objdump -t -- "$object" | awk '
    / [O ] (\.data|\.bss|\.tdata|\.tbss|\*COM\*)/ {
      section = ""
      for (i = 2; i <= NF; i++) if ($i ~ /^(\.|\*COM)/) { section = $i; break }
      if (section !~ /^\.data\.rel\.ro/ && $NF !~ /^\./) print $NF
    }')
  [ -z "$found" ] && continue
  echo "${object#"$build"/}: mutable: $(tr '\n' ' ' <<<"$found")"
  broken=1
done
[ $checked -gt 0 ] || { echo "no object below $build: build first"; exit 99; }
echo "$checked objects checked"
exit $broken
