#!/usr/bin/env bash
# Installs what the tests need, builds a copy of this source tree in a scratch folder, and runs all
# tests. The tree itself stays untouched.
#
# Usage: contrib/run-tests.sh [--scratch DIR] [--target TARGET] [CONFIGURE-OPTION...]
#   --scratch DIR    build there and keep it, for a faster second run (default: a temporary folder,
#                    which is kept only after a failure)
#   --target TARGET  "all" only builds, "distcheck" tests the distribution, too (default: check)
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
scratch=
target=check
while [ $# -gt 0 ]; do
  case $1 in
    --scratch) scratch=$(mkdir -p "$2" && cd "$2" && pwd) || exit 2; shift 2 ;;
    --target) target=$2; shift 2 ;;
    --help) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
    *) break ;;
  esac
done

"$top/contrib/install-deps.sh" test || exit 1

keep=yes
if [ -z "$scratch" ]; then
  scratch=$(mktemp -d "${TMPDIR:-/tmp}/mallocd-tests.XXXXXX") || exit 1
  keep=no
fi
log=$scratch/log
src=$scratch/source
build=$scratch/build

give_up()
{
  tail -n 60 "$log"
  echo
  echo "$1 failed; the whole output is in $log"
  exit 1
}

# Unpacked over what is there: only what changed gets a new time stamp, and is built again.
copy_source()
{
  local fresh=$scratch/fresh
  rm -rf "$fresh" && mkdir -p "$fresh" "$src" "$build" || return 1
  if git -C "$top" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    (cd "$top" && git ls-files -z -co --exclude-standard | while IFS= read -r -d '' f; do
      [ -e "$f" ] && printf '%s\0' "$f"; done | tar -cf - --null -T -) |
      tar -xf - -C "$fresh" || return 1
  else
    tar -C "$top" -cf - --exclude='./build*' --exclude='*.o' --exclude='*.lo' --exclude='.libs' \
      --exclude=./config.status --exclude=./Makefile . | tar -xf - -C "$fresh" || return 1
  fi
  (cd "$fresh" && find . -type f -print0) | while IFS= read -r -d '' f; do
    if ! cmp -s "$fresh/$f" "$src/$f"; then
      mkdir -p "$src/${f%/*}" && cp -p "$fresh/$f" "$src/$f" && touch "$src/$f"
    fi
  done
  rm -rf "$fresh"
}

: >"$log"
echo "Building in $scratch ..."
copy_source >>"$log" 2>&1 || give_up "copying the source"
if [ ! -x "$src/configure" ]; then
  "$src/autogen.sh" >>"$log" 2>&1 || give_up "autogen.sh"
fi
cd "$build" || exit 1
"$src/configure" --enable-tests "$@" >>"$log" 2>&1 || give_up "configure"
jobs=$(nproc 2>/dev/null || echo 2)
make -j"$jobs" >>"$log" 2>&1 || give_up "make"
if [ "$target" = all ]; then
  echo "Built without a complaint."
  [ $keep = yes ] || rm -rf "$scratch"
  exit 0
fi

echo "Running the tests ..."
find . -name '*.trs' -delete
# Those that speak with real daemons wait more than they work.
make -j"$((jobs + 2))" "$target" 2>&1 | tee -a "$log" |
  grep --line-buffered -E '^(PASS|FAIL|SKIP|XFAIL|XPASS|ERROR): '
status=${PIPESTATUS[0]}

# What each test said of itself; distcheck's own tests are gone with their folder, so its summary
# counts.
if [ "$target" = distcheck ]; then
  results=$(sed -nE 's/^# (PASS|FAIL|SKIP|XFAIL|XPASS|ERROR): +([0-9]+)$/\1 \2/p' "$log")
else
  results=$(find . -name '*.trs' -exec cat {} + | sed -nE 's/^:test-result: ([A-Z]+).*/\1 1/p')
fi
count()
{
  awk -v want=" $1 " 'index(want, " " $1 " ") { n += $2 } END { print n + 0 }' <<<"$results"
}
passed=$(count "PASS XFAIL")
failed=$(count "FAIL XPASS ERROR")
skipped=$(count "SKIP")

# What a test said first (how to run it again) and last; and, for who keeps only a few lines of all
# this, what it was and its reason once more at the very end.
tell()
{
  local test=$1 length
  length=$(wc -l <"$test.log")
  printf '\n==== %s\n' "$test"
  if [ "$length" -le 65 ]; then
    cat "$test.log"
  else
    head -n 5 "$test.log"
    echo "[...]"
    tail -n 60 "$test.log"
  fi
}

reason()
{
  grep -hE '^failed: ' "$1.log" | cut -c -1000 | head -n 5 | grep . ||
    grep -hE '^again: |(Error|FAIL|ERROR|runtime error): |\[FAIL\]' "$1.log" |
    cut -c -300 | tail -n 3
}

if [ "$status" -ne 0 ] || [ "$failed" -gt 0 ] || [ "$passed" -eq 0 ]; then
  if [ "$failed" -gt 0 ]; then
    mapfile -t broken < <(find . -name '*.trs' -exec \
      grep -lE '^:test-result: (FAIL|XPASS|ERROR)' {} + | sed 's/[.]trs$//')
    for test in "${broken[@]}"; do tell "$test"; done
    for test in "${broken[@]}"; do
      printf '\nFAILED %s\n' "$test"
      reason "$test"
    done
  else
    tail -n 60 "$log"
  fi
  echo; echo "The whole output is in $log"
  echo "$passed passed, $failed failed, $skipped skipped"
  exit 1
fi
[ $keep = yes ] || rm -rf "$scratch"
echo "$passed passed, $failed failed, $skipped skipped"
