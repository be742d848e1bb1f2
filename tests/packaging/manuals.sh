#!/usr/bin/env bash
# The manual pages format without a warning, and mallocd.conf(5) has every key of the core's tables.
set -u
source=${top_srcdir:-.}
build=${top_builddir:-.}
pages=("$source/doc/mallocd.8" "$source/doc/mallocctl.1" "$build/doc/mallocd.conf.5")
broken=0
command -v man >/dev/null && command -v groff >/dev/null || { echo "no man or no groff"; exit 77; }

for page in "${pages[@]}"; do
  [ -s "$page" ] || { echo "$page is not there"; broken=1; continue; }
  warnings=$(LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -l "$page" 2>&1 >/dev/null)
  if command -v mandoc >/dev/null; then
    warnings+=$(mandoc -Tlint "$page" 2>&1 | grep -v 'referenced manual not found')
  fi
  [ -z "$warnings" ] && continue
  echo "$page: $warnings"
  broken=1
done

# The keys of the core, and of each plugin that was built.
tables=("$source/core/conf-core.c")
for d in "$source"/plugins/*/; do
  name=$(basename "$d")
  [ -e "$build/plugins/$name/.libs/$name.so" ] && tables+=("$d"*.c)
done
keys=0
while read -r key; do
  keys=$((keys + 1))
  tr -d '\\' <"$build/doc/mallocd.conf.5" | grep -qE "^fB${key}fR( =|\[)" && continue
  echo "mallocd.conf(5) does not have $key"
  broken=1
done < <(sed -nE 's/.*\{ \.key = "([^"]*)".*/\1/p' "${tables[@]}" | sort -u)
[ $keys -ge 20 ] || { echo "only $keys keys found in the sources"; broken=1; }
echo "${#pages[@]} pages, $keys keys"
exit $broken
