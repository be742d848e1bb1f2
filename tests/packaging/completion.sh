#!/usr/bin/env bash
# Bash completion, against a mallocctl that answers like the daemon. Each case: the words, the last
# one unfinished, and what must be offered; "!" before a word that must not be.
set -u
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
cat >"$tmp/mallocctl" <<'FAKE'
#!/bin/sh
socket=default
[ "$1" = -s ] && { socket=$2; shift 2; }
[ "$1" = --json ] && shift
[ "$socket" = none ] && exit 3
case "$socket $*" in
  "default scopes")
    echo '{"scopes":[{"scope":"local","names":{"en":"Site local"}},{"scope" : "org"}]}'
    ;;
  "other scopes") echo '{"scopes":[{"scope":"far"}]}' ;;
  "default leases --limit 500")
    echo '{"leases":[{"lease":"00ff01","scope":"local"},{"lease":"a1b2"}]}'
    ;;
  "default ranges") echo '{"ranges":[{"range":"lab","scope":"local"}]}' ;;
  "default reserves") echo '{"reserves":[{"reserve":"camera-7","scope":"local"}]}' ;;
  "default rpc discover")
    echo '{"methods":[{"name":"madcap.servers"},' \
      '{"name":"masc.claim","access":"write","help":"","params":' \
      '[{"name":"prefix","help":"of a [masc-peer]"},{"name":"own_use"}]},' \
      '{"name":"masc.claims","access":"read","params":[{"name":"all"}]},' \
      '{"name":"lease.list","access":"read","params":[{"name":"scope"}]}],' \
      '"events":[{"name":"lease.granted"},{"name":"clock.stepped"}]}'
    ;;
  *) exit 1 ;;
esac
FAKE
chmod +x "$tmp/mallocctl"
PATH=$tmp:$PATH
. "$top_srcdir/contrib/completion/mallocctl"
. "$top_srcdir/contrib/completion/mallocd"
failed=0
cases=0

complete_case()  # "WORDS" EXPECTED...
{
  local want found
  read -ra COMP_WORDS <<<"$1"
  [[ $1 == *" " ]] && COMP_WORDS+=("")
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  COMPREPLY=()
  "_${COMP_WORDS[0]}"
  shift
  for want in "$@"; do
    cases=$((cases + 1))
    found=$(printf '%s\n' "${COMPREPLY[@]}" | grep -cxF -- "${want#!}")
    if [[ $want == !* && $found -gt 0 ]] || [[ $want != !* && $found -ne 1 ]]; then
      echo "FAIL '${COMP_WORDS[*]}': $want, got: ${COMPREPLY[*]}"
      failed=1
    fi
  done
}

complete_case "mallocctl " status scopes request lease madcap '!servers' '!clock'
complete_case "mallocctl re" request renew release reserves reserve '!status'
complete_case "mallocctl -" -s --json --direct
complete_case "mallocctl --json st" status stats store
complete_case "mallocctl lease " list get request renew release '!add' '!granted'
complete_case "mallocctl help lease " list get request '!granted'
complete_case "mallocctl madcap " servers
complete_case "mallocctl masc claim --" --prefix --own-use '!--all' '!--masc.claims'
complete_case "mallocctl masc claims --" --all '!--prefix' '!--scope'
complete_case "mallocctl release " 00ff01 a1b2 '!local'
complete_case "mallocctl lease renew a" a1b2 '!00ff01'
complete_case "mallocctl renew a1b2 --" --lifetime
complete_case "mallocctl request --scope " local org '!en'
complete_case "mallocctl -s other request --scope " far '!local'
complete_case "mallocctl -s none request --scope " '!local' '!far'
complete_case "mallocctl -s none " status request lease
complete_case "mallocctl request --" \
  --scope --count --min --max --lifetime --start --address --via --server
complete_case "mallocctl lease request --scope local --" --via
complete_case "mallocctl request --via " local madcap
complete_case "mallocctl map o" org '!local'
complete_case "mallocctl usage o" org
complete_case "mallocctl reserve remove " camera-7 '!local'
complete_case "mallocctl range remove " lab '!local'
complete_case "mallocctl range add x --" --span --until --scope
complete_case "mallocctl release a1b2 --" --server '!--lifetime'
complete_case "mallocctl --timeout 5 leases --" --limit --holds
complete_case "mallocctl help " lease request
complete_case "mallocctl config " check reload
complete_case "mallocctl config check $top_srcdir/contrib/mallocd.conf.s" \
  "$top_srcdir/contrib/mallocd.conf.sample"
complete_case "mallocd --" --foreground --check --version
complete_case "mallocd -c $top_srcdir/contrib/mallocd.conf.s" \
  "$top_srcdir/contrib/mallocd.conf.sample"

echo "$cases cases"
exit $failed
