#!/usr/bin/env bash
# The lints must be able to fail: each rule is fed a tree with one fault, and one without any.
set -u
here=$(cd "$(dirname "$0")" && pwd)
: "${CC:=cc}"
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
failed=0
cases=0

tree()
{
  rm -rf "$tmp/t"
  mkdir -p "$tmp/t/core" "$tmp/t/plugins/madcap"
  cd "$tmp/t" || exit 99
  printf 'core_headers += core/%s.h\n' api address wire model runtime plugin >core/local.mk
  printf '%s\n' '#include "api.h"' '/* madcap_x, time(NULL) and g_random_int() in a comment */' \
    >core/address.c
  printf '%s\n' '#include <time.h>' 'int f(void) { return (int) time(NULL) + "time("[0]; }' \
    >core/runtime-glib.c
  printf '%s\n' '#include "core/wire.h"' '#include "madcap-wire.h"' 'static const int t[] = { 1 };' \
    >plugins/madcap/madcap-wire.c
  printf '%s\n' '#include "core/model.h"' '#include "madcap-wire.h"' \
    'int step(int now) { return now; }' >plugins/madcap/madcap-server.c
  printf '%s\n' '#include "core/runtime.h"' '#include "madcap-server.h"' \
    'void f(void) { mal_timer_set(0, 1); s->time(1); }' >plugins/madcap/madcap.c
}

verdict()  # NAME EXPECTED ACTUAL OUTPUT EXPECTED-TEXT
{
  cases=$((cases + 1))
  if [ "$2" != "$3" ] || { [ -n "$5" ] && ! grep -qF -- "$5" <<<"$4"; }; then
    printf 'FAIL %s: status %s, expected %s\n%s\n' "$1" "$3" "$2" "$4"
    failed=1
  fi
}

# bad FILE LINE: with that line in that file, layers.sh must fail and name the file.
bad()
{
  local out
  tree
  printf '%s\n' "$2" >>"$1"
  out=$(bash "$here/layers.sh" "$tmp/t" 2>&1)
  verdict "layers: $1: $2" 1 $? "$out" "$1"
}

tree
out=$(bash "$here/layers.sh" "$tmp/t" 2>&1)
verdict "layers: nothing wrong" 0 $? "$out" ""

bad core/model.c '#include "plugins/madcap/madcap-wire.h"'
bad core/model.c '#include "madcap-wire.h"'
bad core/conf.c 'int x = madcap_decode();'
bad core/model.c '#include "runtime.h"'
bad core/address.c 'void f(void) { mal_runtime_now(0); }'
bad core/conf.c 'int f(void) { return time(NULL); }'
bad core/conf.c 'int f(void) { return g_get_real_time(); }'
bad core/conf.c 'int f(void) { return g_random_int(); }'
bad core/conf.c 'void f(void) { randombytes_buf(0, 1); }'
bad core/conf.c 'void f(void) { g_timeout_add(1, 0, 0); }'
bad core/conf.c 'int f(void) { return socket(1, 2, 3); }'
bad plugins/madcap/madcap-wire.c '#include "core/runtime.h"'
bad plugins/madcap/madcap-wire.c '#include "madcap-server.h"'
bad plugins/madcap/madcap-wire-options.c '#include "core/plugin.h"'
bad plugins/madcap/madcap-wire.c 'void g(void) { mal_runtime_now(0); }'
bad plugins/madcap/madcap-server.c '#include "core/runtime.h"'
bad plugins/madcap/madcap-server.c 'void g(void) { mal_udp_send(0, 0); }'
bad plugins/madcap/madcap-server.c '#include <time.h>'
bad plugins/madcap/madcap-server.c 'int g(void) { return rand(); }'
for f in madcap.c madcap-plugin.c madcap-wire.c madcap-server.h; do
  bad plugins/madcap/$f '#include <sys/socket.h>'
  bad plugins/madcap/$f '#  include <time.h>'
  bad plugins/madcap/$f '#include <pthread.h>'
  bad plugins/madcap/$f '#include <gio/gio.h>'
  bad plugins/madcap/$f 'int h(void) { return g_get_monotonic_time(); }'
  bad plugins/madcap/$f 'int h(void) { return /* x */ clock_gettime (0, 0); }'
  bad plugins/madcap/$f 'int h(void) { return g_random_int_range(0, 1); }'
done
bad plugins/madcap/madcap.c '#include "core/runtime-glib.h"'
bad plugins/madcap/madcap.c '#include "plugins/aap/aap-wire.h"'

# ---- lists ---------------------------------------------------------------------------------------

lists()  # NAME EXPECTED LINE TEXT
{
  local out
  rm -rf "$tmp/l"
  mkdir -p "$tmp/l/core" "$tmp/l/plugins/x" "$tmp/l/tests/unit"
  cd "$tmp/l" || exit 99
  touch core/a.c core/a.h plugins/x/x.c tests/unit/test-a.c
  printf 'a =\na += core/a.c\na += core/a.h\nif X\nb = 1\nelse\nb = 2\nendif\n' >core/local.mk
  printf 'x_sources = plugins/x/x.c\n' >plugins/x/local.mk
  printf 'unit_tests += tests/unit/test-a\nLDADD = a b\n#a =\n' >tests/local.mk
  eval "$3"
  out=$(bash "$here/lists.sh" "$tmp/l" 2>&1)
  verdict "lists: $1" "$2" $? "$out" "$4"
}

lists "nothing wrong" 0 : ""
lists "a source forgotten" 1 "touch core/b.c" core/b.c
lists "another's name contains it" 1 \
  "touch core/a.c.h; echo 'a += core/xa.cc' >>core/local.mk; sed -i '/core.a.c/d' core/local.mk" \
  core/a.c
lists "only in a comment" 1 "sed -i 's/^a += core.a.h/#&/' core/local.mk" core/a.h
lists "a plugin's source forgotten" 1 "touch plugins/x/y.c" plugins/x/y.c
lists "a test forgotten" 1 "touch tests/unit/test-b.c" tests/unit/test-b.c
lists "a test's second part" 0 \
  "touch tests/unit/test-b.c; echo 's = tests/unit/test-b.c' >>tests/local.mk" ""
lists "twice in one list" 1 "echo 'a += core/a.h' >>core/local.mk" "twice: a += core/a.h"
lists "twice, beside others" 1 \
  "echo 'unit_tests += tests/unit/test-b tests/unit/test-a' >>tests/local.mk" \
  "twice: unit_tests += tests/unit/test-a"
lists "a list that is reset" 1 "echo 'a =' >>tests/local.mk" "set twice: a"

# ---- style ---------------------------------------------------------------------------------------

style()  # NAME EXPECTED FILE CONTENT TEXT
{
  local out
  rm -rf "$tmp/s"
  mkdir -p "$tmp/s/core" "$tmp/s/tests"
  printf 'int a;\n' >"$tmp/s/core/a.c"
  printf '%s\n' "$4" >"$tmp/s/$3"
  out=$(bash "$here/style.sh" "$tmp/s" 2>&1)
  verdict "style: $1" "$2" $? "$out" "$5"
}

wide=$(printf 'x%.0s' {1..100})
style "100 columns" 0 core/b.c "$wide" ""
style "101 columns" 1 core/b.c "$wide." core/b.c:1:
style "101 columns in a test" 1 tests/b.py "$wide." tests/b.py:1:
style "100 columns of more octets" 0 tests/b.sh "${wide/x/ü}" ""
style "600 lines" 0 core/b.h "$(seq 600)" ""
style "601 lines" 1 core/b.h "$(seq 601)" "core/b.h: 601 lines"

# ---- clang-tidy ----------------------------------------------------------------------------------

tidy()  # NAME EXPECTED FOLDER SOURCE TEXT
{
  local out
  rm -rf "$tmp/y"
  mkdir -p "$tmp/y/core" "$tmp/y/tests"
  cp "$here/../../.clang-tidy" "$tmp/y/" && cp "$here/../.clang-tidy" "$tmp/y/tests/" || exit 99
  touch "$tmp/y/config.h"
  printf '%s\n' "$4" >"$tmp/y/$3/a.c"
  out=$(top_srcdir=$tmp/y top_builddir=$tmp/y bash "$here/tidy.sh" "$3/a.c" 2>&1)
  verdict "tidy: $1" "$2" $? "$out" "$5"
}

if [ "${MALLOCD_TIDY:-yes}" != no ] && command -v clang-tidy pkg-config >/dev/null; then
  null='int f(int *p); int f(int *p) { if (!p) return *p; return 0; }'
  number='#include <stdlib.h>
int f(const char *s); int f(const char *s) { return atoi(s); }'
  tidy "nothing wrong" 0 core 'int f(int a); int f(int a) { return a + 1; }' ""
  tidy "a null pointer" 1 core "$null" core/a.c:1:
  tidy "a null pointer in tests" 1 tests "$null" tests/a.c:1:
  tidy "a number that is none" 1 core "$number" cert-err34-c
  tidy "justified" 0 core "$number // NOLINT(cert-err34-c): only a test" ""
  tidy "does not compile" 1 core 'int f(' error
fi

# ---- exported symbols ----------------------------------------------------------------------------

shared()  # OUTPUT SOURCE
{
  mkdir -p "${1%/*}"
  printf '%s\n' "$2" >"$tmp/x.c"
  $CC -shared -fPIC -o "$1" "$tmp/x.c" || exit 99
}

exports()  # NAME EXPECTED CORE-SOURCE PLUGIN-SOURCE TEXT
{
  local out
  rm -rf "$tmp/e"
  mkdir -p "$tmp/e/core"
  printf 'core_headers += core/api.h\n' >"$tmp/e/core/local.mk"
  printf '%s\n' '#define MAL_API' '/* mal_hidden( */' 'MAL_API int mal_shown(int a,' '  int b);' \
    'int mal_hidden(void);' >"$tmp/e/core/api.h"
  shared "$tmp/e/core/.libs/libmallocd-core.so" "$3"
  shared "$tmp/e/plugins/x/.libs/x.so" "$4"
  out=$(bash "$here/exports.sh" "$tmp/e" "$tmp/e" 2>&1)
  verdict "exports: $1" "$2" $? "$out" "$5"
}

core_good='int mal_shown(int a, int b); int mal_shown(int a, int b) { return a + b; }'
plugin_good='int mal_plugin;'
exports "nothing wrong" 0 "$core_good" "$plugin_good" ""
exports "undeclared" 1 "$core_good int mal_more;" "$plugin_good" mal_more
exports "declared without MAL_API" 1 \
  "$core_good int mal_hidden(void) { return 0; }" "$plugin_good" mal_hidden
exports "a plugin's helper" 1 "$core_good" "$plugin_good int x_helper;" x_helper
exports "no descriptor" 1 "$core_good" \
  "static int mal_plugin; int *f(void) { return &mal_plugin; }" x.so

# ---- globals -------------------------------------------------------------------------------------

globals()  # NAME EXPECTED FILE SOURCE TEXT
{
  local out
  rm -rf "$tmp/g"
  mkdir -p "$tmp/g/core/.libs" "$tmp/g/plugins/x/.libs"
  printf '%s\n' "$4" >"$tmp/x.c"
  $CC -O2 -fPIC -c -o "$tmp/g/$3" "$tmp/x.c" || exit 99
  out=$(bash "$here/globals.sh" "$tmp/g" 2>&1)
  verdict "globals: $1" "$2" $? "$out" "$5"
}

constant='static const char *const names[] = { "a", "b" };
const char *f(int i) { return names[i]; }'
o=plugins/x/.libs/x.o
globals "constant tables with pointers" 0 $o "$constant" ""
globals "a zeroed static" 1 $o "static int hits; int f(void) { return hits++; }" hits
globals "a static with a value" 1 $o "static int hits = 7; int f(void) { return hits++; }" hits
globals "a static in a function" 1 $o "int f(void) { static int hits; return hits++; }" hits
globals "a global" 1 $o "int hits;" hits
globals "a table of pointers, not const" 1 $o "const char *names[] = { \"a\" };" names
globals "per thread" 1 $o "_Thread_local int hits; int *f(void) { return &hits; }" hits
globals "core too" 1 core/.libs/model.o "int hits;" hits

# ---- conformance.py ------------------------------------------------------------------------------

conformance()  # NAME EXPECTED EDIT TEXT
{
  local out
  rm -rf "$tmp/a"
  mkdir -p "$tmp/a/doc" "$tmp/a/plugins/aap" "$tmp/a/plugins/masc" "$tmp/a/tests/unit"
  cd "$tmp/a" || exit 99
  echo 'static void f(void)' | tee plugins/masc/y.c >plugins/aap/x.c
  echo 'Test(aap_x, aap_1_3_to_8_all_but_two)' >tests/unit/test-aap-x.c
  echo 'Test(rfc2909_1, as_it_is)' >tests/unit/test-masc-y.c
  echo 'a list of 9 statements' | tee doc/masc-conformance.md >doc/aap-conformance.md
  for i in $(seq 9); do
    case $i in 2 | 9) shown='none: for a reason' ;; *) shown='`x`' ;; esac
    echo "| $i | MUST | 1 | so it is | \`x.c: f\` | $shown |" >>doc/aap-conformance.md
    echo "| $i | MUST | 1 | so it is | \`y.c: f\` | \`y: as_it_is\` |" >>doc/masc-conformance.md
  done
  eval "$3"
  out=$(python3 "$here/conformance.py" "$tmp/a" 2>&1)
  verdict "conformance: $1" "$2" $? "$out" "$4"
}

if command -v python3 >/dev/null; then
  conformance "nothing wrong" 0 : ""
  conformance "a row is missing" 1 "sed -i '/^| 7 /d' doc/aap-conformance.md" \
    "row 8 where 7 is expected"
  conformance "the end is missing" 1 "sed -i '/^| 9 /d' doc/masc-conformance.md" \
    "masc-conformance.md: the table ends at 8"
  conformance "no number of statements" 1 "sed -i '/a list of/d' doc/aap-conformance.md" \
    "does not say how many"
  conformance "a test that doesn't carry the number" 1 \
    "sed -i 's/aap_1_3_/aap_1_4_/' tests/unit/test-aap-x.c" "3: x does not carry"
  conformance "a test that went" 1 "sed -i 's/as_it_is/as_it_was/' tests/unit/test-masc-y.c" \
    "no as_it_is in y"
  conformance "a file of tests that went" 1 "rm tests/unit/test-masc-y.c" "no file y"
  conformance "no reason" 1 \
    "sed -i 's/none: for a reason/none/' doc/aap-conformance.md" "2: neither a test nor a reason"
  conformance "a function that went" 1 "sed -i 's/f(/g(/' plugins/aap/x.c" "no f in x.c"
  conformance "a file that went" 1 "rm plugins/masc/y.c" "no file y.c"
  conformance "no table at all" 1 "rm doc/*.md" "no doc/"
fi

echo "$cases cases"
exit $failed
