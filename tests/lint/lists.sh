#!/usr/bin/env bash
# The fragments list every source file exactly once: nothing is forgotten, nothing doubled or reset
# where two changes met. Usage: lists.sh [ROOT]
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=${1:-${top_srcdir:-$here/../..}}
cd "$root" || exit 99
broken=0
checked=0

complain() { echo "$1"; broken=1; }

fragments=()
for f in Makefile.am */local.mk plugins/*/local.mk; do [ -f "$f" ] && fragments+=("$f"); done
[ ${#fragments[@]} -gt 0 ] || { echo "no fragments below $root"; exit 99; }

while read -r line; do
  complain "twice: $line"
done < <(cat "${fragments[@]}" |
  awk '/^[A-Za-z_]+ \+= [^\\$]+$/ { for (i = 3; i <= NF; i++) print $1, $2, $i }' |
  sort | uniq -d)

# A second "=" throws away what was listed until then; one outside of conditionals only.
while read -r name; do
  complain "set twice: $name"
done < <(cat "${fragments[@]}" |
  awk '/^if /{ d++ } /^endif/{ d-- } !d && match($0, /^[A-Za-z_]+ = ?/) { print $1 }' |
  sort | uniq -d)

# listed FILE FRAGMENT NAME...: one of the names is a word of its own, outside of comments.
listed()
{
  local file=$1 fragment=$2 name
  shift 2
  checked=$((checked + 1))
  for name in "$@"; do
    sed -E 's/^#.*//' "$fragment" |
      grep -qE "(^|[[:space:]=])${name//./\\.}([[:space:]]|\$)" && return
  done
  complain "$file is not listed in $fragment"
}

for f in core/*.[ch]; do
  [ -f "$f" ] && listed "$f" core/local.mk "$f"
done
for d in plugins/*/; do
  for f in "$d"*.[ch]; do
    [ -f "$f" ] && listed "$f" "${d}local.mk" "$f"
  done
done
# A program of its own, or a part of one.
for f in tests/unit/test-*.c tests/fuzz/fuzz-*.c; do
  [ -f "$f" ] && listed "$f" tests/local.mk "${f%.c}" "$f"
done
[ $checked -gt 0 ] || { echo "nothing to check below $root"; exit 99; }
echo "$checked files checked"
exit $broken
