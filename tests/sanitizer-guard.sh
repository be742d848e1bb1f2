#!/usr/bin/env bash
# Runs a test and fails it for any sanitizer report of any of its processes: Criterion doesn't look
# at the exit status of a child that leaked, and a script may not look at its daemon's.
reports=$(mktemp -d) || exit 99
trap 'rm -rf "$reports"' EXIT
common=log_path=$reports/report
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}$common"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}$common:print_stacktrace=1"
"$@"
status=$?
for report in "$reports"/*; do
  [ -e "$report" ] || continue
  cat "$report"
  status=1
done
exit $status
