#!/usr/bin/env bash
# Line coverage by file, lowest first, and in total. Usage: lines.sh, in a build folder that was
# configured with --enable-coverage, after make check.
set -u
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
mapfile -t data < <(find "$PWD/core" "$PWD/plugins" -name '*.gcda')
[ ${#data[@]} -gt 0 ] ||
  { echo "no coverage data: configure --enable-coverage, then make check" >&2; exit 1; }
# Programs compile their files a second time, under another name: the better of both counts.
(cd "$tmp" && gcov -n "${data[@]}") | awk '
  /^File / { file = $2; gsub(/\x27/, "", file); next }
  /^Lines executed:/ {
    split($0, part, /[:% ]+/)
    if (match(file, /(core|plugins)\/[^ ]*\.c$/)) {
      file = substr(file, RSTART)
      if (!(file in lines) || part[3] > share[file]) {
        share[file] = part[3]
        lines[file] = part[5]
      }
    }
    file = ""
  }
  END {
    for (f in lines) {
      printf "%6.1f %%  %5d lines  %s\n", share[f], lines[f], f | "sort -n"
      all += lines[f]; run += lines[f] * share[f] / 100
    }
    close("sort -n")
    if (all) printf "%6.1f %%  %5d lines  total\n", 100 * run / all, all
  }'
