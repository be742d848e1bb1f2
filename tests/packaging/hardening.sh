#!/usr/bin/env bash
# What configure promised of the binaries is true of each of them.
set -u
: "${top_builddir:=.}"
setting() { sed -nE "s/^$1 = (.*)/\1/p" "$top_builddir/Makefile"; }
failed=0
checked=0

expect()  # FILE WHAT PATTERN READELF-OPTION
{
  readelf -W "$4" -- "$1" | grep -qE -- "$3" && return
  echo "FAIL ${1#"$top_builddir"/}: $2"
  failed=1
}

[[ $(setting MAL_LDFLAGS) == *relro* ]] || { echo "built without hardening"; exit 77; }
for binary in "$top_builddir"/core/.libs/*.so "$top_builddir"/plugins/*/.libs/*.so \
  "$top_builddir"/.libs/mallocd "$top_builddir"/.libs/mallocctl; do
  [ -f "$binary" ] || continue
  checked=$((checked + 1))
  expect "$binary" "relocations stay writable" GNU_RELRO -l
  expect "$binary" "symbols are bound lazily" 'BIND_NOW|FLAGS_1.*NOW' -d
  expect "$binary" "the stack is executable" 'GNU_STACK .* RW ' -l
  [[ $binary == *.so ]] || expect "$binary" "not position-independent" 'Type: +DYN' -h
done
core=$top_builddir/core/.libs/libmallocd-core.so
if [[ $(setting MAL_CFLAGS) == *-fstack-protector-strong* ]]; then
  expect "$core" "no stack protector" __stack_chk_fail --dyn-syms
fi
if [[ $(setting MAL_CPPFLAGS) == *_FORTIFY_SOURCE* ]]; then
  expect "$core" "no fortified calls" '__[a-z]+_chk' --dyn-syms
fi
[ $checked -gt 0 ] || { echo "nothing was built"; exit 99; }
echo "$checked binaries checked"
exit $failed
