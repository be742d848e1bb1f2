#!/usr/bin/env bash
# Branch coverage of codec, allocator, engine and machines, against doc/coverage.md. Usage:
# branches.sh TEST..., in a build folder that was configured with CC=clang and --enable-coverage.
set -u
: "${top_srcdir:?}" "${top_builddir:?}"
data=coverage-data
rm -rf "$data" && mkdir "$data" || exit 99
LLVM_PROFILE_FILE=$PWD/$data/%8m.profraw
export LLVM_PROFILE_FILE
failed=0
for t in "$@"; do
  "./$t" >"$data/output" 2>&1 || { cat "$data/output"; echo "$t failed" >&2; failed=1; }
done
tool() { command -v "$1" || command -v "$1-$(clang -dumpversion | cut -d. -f1)"; }
profdata=$(tool llvm-profdata) && cov=$(tool llvm-cov) ||
  { echo "llvm-profdata and llvm-cov are needed" >&2; exit 1; }
"$profdata" merge -sparse -o "$data/all" "$data"/*.profraw || exit 1
"$cov" export -format=text -instr-profile="$data/all" core/.libs/libmallocd-core.so \
  -object plugins/loadable/madcap.so -object plugins/loadable/aap.so \
  -object plugins/loadable/masc.so \
  >"$data/export.json" || exit 1
"${PYTHON3:-python3}" "$top_srcdir/tests/coverage/branches.py" "$data/export.json" \
  "$top_srcdir/doc/coverage.md" "$top_srcdir" || failed=1
exit $failed
