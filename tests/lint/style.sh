#!/usr/bin/env bash
# No line is longer than 100 columns, no file longer than 600 lines (C, Python, shell).
# Usage: style.sh [ROOT]. Prints FILE:LINE: TEXT.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=${1:-${top_srcdir:-$here/../..}}
cd "$root" || exit 99

# What is still to be split, or broken: a list that only gets shorter. It says so where a name has
# no need of its place any more.
long_files=''
long_lines='
core/allocator-index.c
plugins/aap/aap.c
tests/lint/selftest.sh
tests/plugins/test_pool.py
'

folders=()
for d in .ci contrib core doc plugins tests; do [ -d "$d" ] && folders+=("$d"); done
[ ${#folders[@]} -gt 0 ] || { echo "nothing to check below $root"; exit 99; }

# Columns are characters: the octets that continue one in UTF-8 don't count.
find "${folders[@]}" -type f \( -name '*.[ch]' -o -name '*.py' -o -name '*.sh' -o -name run \) \
  -exec env LC_ALL=C awk -v long_files="$long_files" -v long_lines="$long_lines" '
  function finish() {
    if (file == "") return
    files++
    check(file, lines > 600, long_files, file ": " lines " lines, 600 at most: split it by topic")
    check(file, first != "", long_lines, first)
  }
  function check(name, fault, allowed, text,   known) {
    known = index("\n" allowed, "\n" name "\n") > 0
    if (fault && !known) { printf "%s\n", text; broken = 1 }
    if (!fault && known) print name ": needs no exception any more"
  }
  FNR == 1 { finish(); file = FILENAME; first = "" }
  {
    lines = FNR
    if (length($0) > 100) {
      text = $0
      n = length(text) - gsub(/[\200-\277]/, "", text)
      if (n > 100) {
        first = first (first == "" ? "" : "\n")
        first = first file ":" FNR ": " n " columns, 100 at most"
      }
    }
  }
  END { finish(); print files " files checked"; exit broken }' {} + || exit 1
