#!/usr/bin/env bash
# The README's configurations are such that the daemon takes, and the files that it names are there.
set -u
top_srcdir=${top_srcdir:-.}
top_builddir=${top_builddir:-.}
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
failed=0

# The indented block that begins with [$1] has a line $2, and the daemon takes it.
block() {
  awk -v first="    [$1]" '$0 == first { on = 1 } on && /^[^ ]/ { exit }
    on { sub(/^    /, ""); print }' "$top_srcdir/README.md" >"$work/mallocd.conf"
  grep -qxF "$2" "$work/mallocd.conf" || { echo "README.md shows no $2"; failed=1; }
  "$top_builddir/mallocd" --check -c "$work/mallocd.conf" || failed=1
}
block daemon '[madcap]'
block 'scope glop' 'unicast-prefix = 2001:db8::/48'

while read -r file; do
  [ -e "$top_srcdir/$file" ] || { echo "README.md names $file, which isn't there"; failed=1; }
done < <(grep -oE '(contrib|doc|core|plugins|tests)/[a-zA-Z0-9./-]+[a-z]' "$top_srcdir/README.md" |
  sort -u)
exit $failed
