#!/usr/bin/env bash
# Runs fuzz targets, as many at once as there are cores, and says what came of it.
#
#   fuzz.sh fuzz SECONDS TARGETS     new inputs in fuzz/TARGET/new, what breaks in fuzz/TARGET
#   fuzz.sh merge TARGETS            takes those that reach new edges into tests/fuzz/corpus
#   fuzz.sh coverage TARGETS         lines and branches of the sources that each target is for
#
# In the build folder; a target is named as its file without "fuzz-". Needs clang.
set -u
top=$(cd "${top_srcdir:?}" && pwd)
mode=$1
shift
cores=$(getconf _NPROCESSORS_ONLN)

seeds_of() { echo "$top/tests/fuzz/corpus/$1"; }

is_fuzzer() { tests/fuzz/fuzz-"$1" -help=1 2>&1 | grep -q max_total_time; }

require_fuzzers()
{
  local t
  for t in "$@"; do
    is_fuzzer "$t" && continue
    echo "fuzz-$t is no fuzzer: configure with CC=clang --enable-fuzzer --enable-sanitizers"
    exit 1
  done
}

# ---- finding -----------------------------------------------------------------------------------

fuzz_one()
{
  local t=$1 seconds=$2 seeds
  seeds=$(seeds_of "$t")
  mkdir -p "fuzz/$t/new"
  nice tests/fuzz/fuzz-"$t" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
    -print_final_stats=1 -artifact_prefix="fuzz/$t/" -max_len=4096 "fuzz/$t/new" "$seeds" \
    >"fuzz/$t/log" 2>&1 || echo "fuzz-$t found something: see fuzz/$t/log"
}

# The last line of a log says "#N DONE cov: EDGES ft: FEATURES corp: INPUTS/SIZE ... exec/s: N".
table()
{
  local t
  printf '%-16s %12s %9s %7s %9s %7s\n' target executions exec/s edges features inputs
  for t in "$@"; do
    awk -v t="$t" '
      / cov: / { for (i = 1; i < NF; i++) v[$i] = $(i + 1); n = substr($1, 2) }
      /number_of_executed_units/ { n = $2 } /average_exec_per_sec/ { v["exec/s:"] = $2 }
      END { split(v["corp:"], c, "/")
        printf "%-16s %12d %9d %7d %9d %7d\n", t, n, v["exec/s:"], v["cov:"], v["ft:"], c[1] }' \
      "fuzz/$t/log"
  done
}

fuzz()
{
  local seconds=$1 t found=0
  shift
  require_fuzzers "$@"
  for t in "$@"; do
    while [ "$(jobs -rp | wc -l)" -ge "$cores" ]; do wait -n; done
    fuzz_one "$t" "$seconds" &
  done
  wait
  table "$@"
  for t in "$@"; do
    compgen -G "fuzz/$t/*-[0-9a-f]*" >/dev/null && { ls "fuzz/$t/"*-[0-9a-f]*; found=1; }
  done
  return $found
}

# ---- keeping -----------------------------------------------------------------------------------

# By edges alone, not by how often each is passed: few files, which make check replays quickly.
merge()
{
  local t seeds
  require_fuzzers "$@"
  for t in "$@"; do
    seeds=$(seeds_of "$t")
    [ -d "fuzz/$t/new" ] || continue
    tests/fuzz/fuzz-"$t" -merge=1 -use_counters=0 -use_cmp=0 "$seeds" "fuzz/$t/new" \
      >"fuzz/$t/merge.log" 2>&1 || { tail "fuzz/$t/merge.log"; return 1; }
    printf '%-16s %5d files %8d octets\n' "$t" "$(find "$seeds" -type f | wc -l)" \
      "$(find "$seeds" -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }')"
  done
}

# ---- coverage ----------------------------------------------------------------------------------

# What stands behind "Covers:" in the first comment.
covered_by()
{
  awk '{ last = /\*\// } sub(/.*Covers:/, "") { on = 1 }
    on { sub(/\*\/.*/, ""); print } last { exit }' "$top/tests/fuzz/fuzz-$1.c" |
    tr -s ' ' '\n' | while read -r pattern; do
      [ -n "$pattern" ] && (cd "$top" && compgen -G "$pattern")
    done | sort -u
}

coverage_one()
{
  local t=$1 fuzz=$2 sources=() name
  while read -r name; do sources+=("$top/$name"); done < <(covered_by "$t")
  [ ${#sources[@]} -gt 0 ] || return 0
  local inputs=("$(seeds_of "$t")")
  [ -d "$fuzz/$t/new" ] && inputs+=("$fuzz/$t/new")
  LLVM_PROFILE_FILE="$t.profraw" tests/fuzz/fuzz-"$t" "${inputs[@]}" >"$t.log" || return 1
  llvm-profdata merge -o "$t.profdata" "$t.profraw" || return 1
  llvm-cov report "tests/fuzz/fuzz-$t" -instr-profile="$t.profdata" "${sources[@]}" |
    awk -v t="$t" 'NF >= 13 && !/^Filename/ { sub(/.*\//, "", $1)
      printf "%-16s %-32s %8s %8s\n", t, $1, $10, $13 }'
}

# In a build of its own: a folder beside the fuzzers, without libFuzzer, without sanitizers.
coverage()
{
  local fuzz=$PWD/fuzz t
  mkdir -p fuzz-coverage
  cd fuzz-coverage || return 1
  [ -f Makefile ] || CC=${FUZZ_CC:-clang} \
    CFLAGS='-O1 -g -fprofile-instr-generate -fcoverage-mapping' "$top/configure" --disable-tests \
    --disable-shared --disable-hardening >configure.log 2>&1 || { tail configure.log; return 1; }
  make -j"$cores" "${@/#/tests/fuzz/fuzz-}" >make.log 2>&1 || { tail make.log; return 1; }
  printf '%-16s %-32s %8s %8s\n' target source lines branches
  for t in "$@"; do
    coverage_one "$t" "$fuzz" || { echo "fuzz-$t: no coverage"; return 1; }
  done
}

"$mode" "$@"
