#!/usr/bin/env bash
# Each installed header compiles by itself, from the installed folder alone, with nothing but what
# mallocd.pc names, in C and in C++.
set -u
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}" "${top_builddir:=.}" "${CC:=cc}"
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/mallocd"
headers=$(sed -nE 's|^core_headers \+= core/([a-z0-9-]+\.h)$|\1|p' "$top_srcdir/core/local.mk")
for header in $headers; do
  cp "$top_srcdir/core/$header" "$tmp/mallocd/" || exit 99
done
read -ra flags < <(PKG_CONFIG_PATH=$top_builddir/contrib pkg-config --cflags mallocd | tr '\n' ' ')
[ ${#flags[@]} -gt 0 ] || { echo "mallocd.pc gives no flags"; exit 99; }
read -ra compiler <<<"$CC"
failed=0

compiles()  # LANGUAGE STANDARD HEADER
{
  printf '#include <mallocd/%s>\n' "$3" |
    "${compiler[@]}" -x "$1" -std="$2" -Wall -Wextra -Werror -fsyntax-only -I"$tmp" \
      "${flags[@]}" - && return
  echo "FAIL $3 alone as $1"
  failed=1
}

cxx=yes
echo 'class x {};' | "${compiler[@]}" -x c++ -fsyntax-only - 2>/dev/null ||
  { cxx=no; echo "left out: no C++ here"; }
for header in $headers; do
  compiles c c17 "$header"
  [ $cxx = no ] || compiles c++ c++17 "$header"
done

# The check can fail.
echo '#include "nowhere.h"' >"$tmp/mallocd/bad.h"
if (compiles c c17 bad.h; exit $failed) >/dev/null 2>&1; then
  echo "FAIL a header that includes what is not installed was accepted"
  failed=1
fi
exit $failed
