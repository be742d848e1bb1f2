#!/usr/bin/env bash
# clang-tidy over all C files, with .clang-tidy of the top, of tests/ and of tests/unit/.
# Usage: tidy.sh [FILE...] (default: all). MALLOCD_TIDY=no skips it, for runs that come after
# another; MALLOCD_TIDY=deep lets the analyzer follow every path as far as it can, which takes ten
# times as long.
set -u
here=$(cd "$(dirname "$0")" && pwd)
src=$(cd "${top_srcdir:-$here/../..}" && pwd) || exit 99
build=$(cd "${top_builddir:-.}" && pwd) || exit 99
tidy=${CLANG_TIDY:-clang-tidy}

skip() { echo "skipped: $1"; exit 77; }
[ "${MALLOCD_TIDY:-yes}" != no ] || skip "MALLOCD_TIDY=no"
command -v "$tidy" >/dev/null || skip "$tidy is not installed (contrib/install-deps.sh test)"
command -v pkg-config >/dev/null || skip "pkg-config is not installed"
if grep -qsE '^MAL_CFLAGS = .*(-fsanitize|--coverage)' "$build/Makefile"; then
  skip "an instrumented build; the plain one is linted"
fi
[ -f "$build/config.h" ] || { echo "$build/config.h is missing: configure first"; exit 99; }

scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT
ln -s "$src/core" "$scratch/mallocd" || exit 99   # <mallocd/...>, as the example plugin has it

# Headers of others are none of our business. A folder that the macros name is only text here.
flags=(-std=c17 -I"$build" -I"$src" -I"$scratch" -DHAVE_CONFIG_H
  -DMAL_PLUGIN_DIR='"x"' -DMAL_CONFIG_FILE='"x"' -DMAL_STATE_DIR='"x"' -DMAL_RUN_DIR='"x"')
for name in glib-2.0 gio-2.0 gmodule-no-export-2.0 json-c libsodium sqlite3 libsystemd criterion; do
  # shellcheck disable=SC2046
  flags+=($(pkg-config --cflags "$name" 2>/dev/null | sed -E 's/(^| )-I/ -isystem /g'))
done

# Shallow: a function is looked at with the small ones that it calls, and no further.
if [ "${MALLOCD_TIDY:-yes}" != deep ]; then
  flags+=(-Xclang -analyzer-config -Xclang mode=shallow)
fi

units=(! -path 'tests/unit/*' ! -name 'test-*.c' ! -path 'tests/support/*')
pkg-config --exists criterion && units=()

# The largest first: no core waits for the last one.
files=("$@")
if [ ${#files[@]} -eq 0 ]; then
  mapfile -t files < <(cd "$src" &&
    find core plugins doc tests -name '*.c' "${units[@]}" -printf '%s %p\n' |
    sort -rn | cut -d' ' -f2-)
fi
[ ${#files[@]} -gt 0 ] || { echo "nothing to check below $src"; exit 99; }

one='file=$1; scratch=$2; tidy=$3; shift 3
  out=$("$tidy" --quiet "$file" -- "$@" 2>"$scratch/error.$$") && [ -z "$out" ] && exit 0
  printf "%s\n" "$out"
  grep -E "error:|Error" "$scratch/error.$$"
  exit 1'
cd "$src" || exit 99
printf '%s\0' "${files[@]}" |
  xargs -0 -P "$(nproc 2>/dev/null || echo 2)" -I{} \
    "$BASH" -c "$one" tidy {} "$scratch" "$tidy" "${flags[@]}" >"$scratch/out"
status=$?
sed "s|$src/||" "$scratch/out"
echo "${#files[@]} files checked"
[ $status -eq 0 ] || exit 1
