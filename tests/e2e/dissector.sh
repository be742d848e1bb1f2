# shellcheck shell=bash
# A Wireshark dissector over the capture that a unit test writes; to be sourced, with $name (as in
# contrib/wireshark/$name.lua, tests/unit/test-$name-golden) and $fields_of (the program that knows
# the fields) set. Who sources it says in check_experts what else must hold, and calls dissect_all.
top_srcdir=${top_srcdir:-.}
top_builddir=${top_builddir:-.}
python=${PYTHON3:-python3}
here=$top_srcdir/tests/e2e

command -v tshark >/dev/null || { echo "no tshark"; exit 77; }
tshark --version 2>/dev/null | grep -q 'with Lua' || { echo "tshark has no Lua"; exit 77; }
writer=$top_builddir/tests/unit/test-$name-golden
[ -x "$writer" ] || { echo "built without Criterion: nobody writes the capture"; exit 77; }

work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
mkdir "$work/tests"
# Not the capture of the unit test's own run, which may just be on its way.
top_builddir=$work "$writer" --filter 'capture/*' >"$work/writer" 2>&1 ||
  { cat "$work/writer"; exit 99; }
mv "$work/tests/$name.pcap" "$work"
cp "$top_srcdir/contrib/wireshark/$name.lua" "$work" || exit 99
chmod 755 "$work"
chmod 644 "$work/$name".*
export HOME=$work/home XDG_CONFIG_HOME=$work/home
mkdir -m 777 "$HOME"

as_user=()
dissect()
{
  "${as_user[@]}" tshark -n -r "$work/$name.pcap" -X "lua_script:$work/$name.lua" "$@" \
    2>"$work/errors"
}

# experts FIELD...: those of each packet, a line each, and its expert information at the end.
experts()
{
  local wanted=() f
  for f in "$@" _ws.expert.message; do wanted+=(-e "$f"); done
  dissect -T fields -E separator=/t -E aggregator='|' "${wanted[@]}" >"$work/experts"
}

# count N FILTER WHAT: so many packets pass it.
count()
{
  [ "$(dissect -Y "$2" | wc -l)" = "$1" ] || { echo "$3: not $1"; failed=1; }
}

check_all()
{
  local fields
  failed=0
  mapfile -t fields < <("$python" "$here/$fields_of" fields)
  dissect -T fields -E separator=/t -E aggregator='|' -E occurrence=a "${fields[@]}" \
    >"$work/fields" || { cat "$work/errors"; return 1; }
  "$python" "$here/$fields_of" compare "$work/fields" || return 1

  dissect -V >"$work/verbose"
  if grep -n "Lua Error\\|Malformed Packet: ${name^^}\\|Exception occurred" \
    "$work"/{verbose,errors}; then
    return 1
  fi
  check_experts
  return $failed
}

# As root, it looks once more as an ordinary user, to whom Wireshark applies other rules.
dissect_all()
{
  local status=0
  check_all || status=1
  if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    echo 'as an ordinary user:'
    as_user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    check_all || status=1
  fi
  return $status
}
