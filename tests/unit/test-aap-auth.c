/* Authentication of AAP messages (draft-ietf-malloc-aap-04 section 6;
   doc/aap-authentication.md). */
#include "plugins/aap/aap-auth.h"
#include "plugins/aap/aap-wire.h"

#include <criterion/criterion.h>
#include <string.h>

#define A "0101010101010101010101010101010101010101010101010101010101010101"
#define B "0202020202020202020202020202020202020202020202020202020202020202"

typedef struct {
  AapKeys *keys;
  AapAuth *auth;
  uint64_t asked;
  bool slow;
} Side;

static void reserve(uint64_t upto, void *data)
{
  ((Side *)data)->asked = upto;
}

static AapKeys *keys_of(const char *text)
{
  g_autoptr(GError) error = NULL;
  AapKeys *keys = aap_keys_parse(text, strlen(text), &error);
  cr_assert_not_null(keys, "%s", error ? error->message : "");
  return keys;
}

static void side_init(Side *s, const char *text, uint64_t sender, uint64_t next)
{
  s->keys = keys_of(text);
  s->auth = aap_auth_new(s->keys, sender, next, reserve, s);
  if (!s->slow)
    aap_auth_reserved(s->auth, s->asked);
}

static void side_clear(Side *s)
{
  aap_auth_free(s->auth);
  aap_keys_unref(s->keys);
}

static MalAddress group(void)
{
  return mal_address_ipv4(0xeffffff8);
}

static const uint8_t ana[20] = { 0,    5,    0, 1, 0, 0,  30,   0,    0x39, 0x5d,
                                 0x34, 0xa8, 0, 0, 0, 10, 0x39, 0x5e, 0x94, 0x10 };

static size_t seal(Side *s, uint8_t out[200])
{
  memcpy(out, ana, sizeof ana);
  return aap_auth_seal(s->auth, group(), out, sizeof ana, 200);
}

static AapAuthVerdict open_it(Side *s, const uint8_t *data, size_t length)
{
  return aap_auth_open(s->auth, group(), data, length, NULL, NULL, NULL);
}

/* The public half is made from the seed by the library; a peer's group holds it. */
static char *public_of(const char *seed)
{
  g_autofree char *text = g_strdup_printf("[own x]\nsecret=%s\n", seed);
  g_autoptr(AapKeys) keys = keys_of(text);
  return aap_keys_public(keys);
}

Test(aap_auth, what_is_sealed_opens_and_nothing_else_does)
{
  g_autofree char *public = public_of(A);
  g_autofree char *peer =
      g_strdup_printf("[own me]\nsecret=" B "\n[peer you]\npublic=%s\n", public);
  const struct {
    const char *sender, *receiver;
    size_t overhead;
  } cases[] = {
    { "[shared k]\nkey=" A "\n", "[shared other-name]\nkey=" A "\n", 57 },
    { "[own you]\nsecret=" A "\n", peer, 89 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Side from = { 0 }, to = { 0 };
    uint8_t data[200], bad[200];
    side_init(&from, cases[i].sender, 7, 0);
    side_init(&to, cases[i].receiver, 8, 0);
    size_t length = seal(&from, data), message;
    uint64_t sender;
    const char *name;
    cr_assert_eq(length, sizeof ana + cases[i].overhead);
    cr_assert_eq(aap_auth_overhead(from.auth), cases[i].overhead);
    for (size_t bit = 0; bit < length * 8; bit++) {
      memcpy(bad, data, length);
      bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
      AapAuthVerdict verdict = open_it(&to, bad, length);
      cr_assert(verdict == AAP_AUTH_FORGED || verdict == AAP_AUTH_NONE || verdict == AAP_AUTH_KEY,
                "bit %zu: %s", bit, aap_auth_verdict_name(verdict));
    }
    for (size_t cut = 0; cut < length; cut++)
      cr_assert_neq(open_it(&to, data, cut), AAP_AUTH_OK);
    cr_assert_eq(
        aap_auth_open(to.auth, mal_address_ipv4(0xeffbfff8), data, length, NULL, NULL, NULL),
        AAP_AUTH_FORGED, "another group");
    cr_assert_eq(aap_auth_open(to.auth, group(), data, length, &message, &sender, &name),
                 AAP_AUTH_OK);
    cr_assert(message == sizeof ana && sender == 7 && memcmp(data, ana, sizeof ana) == 0);
    cr_assert_eq(open_it(&to, data, length), AAP_AUTH_REPLAY);
    cr_assert_eq(open_it(&from, data, length), AAP_AUTH_OWN);
    cr_assert_eq(open_it(&to, ana, sizeof ana), AAP_AUTH_NONE);
    side_clear(&from);
    side_clear(&to);
  }
}

Test(aap_auth, an_unaware_implementation_drops_every_sealed_message)
{
  /* Each type and family with 0 to 40 ranges: never a length that it may have. */
  static AapRange ranges[40];
  g_autofree AapScratch *scratch = g_new(AapScratch, 1);
  AapRequest request = { 1, 1 };
  const char *const keys[] = { "[shared k]\nkey=" A "\n", "[own k]\nsecret=" A "\n" };
  for (size_t k = 0; k < G_N_ELEMENTS(keys); k++) {
    Side s = { 0 };
    side_init(&s, keys[k], 1, 0);
    for (unsigned type = 0; type < AAP_N_TYPES; type++)
      for (unsigned family = MAL_IPV4; family <= MAL_IPV6; family++)
        for (size_t n = 0; n <= G_N_ELEMENTS(ranges); n++) {
          MalAddress first = family == MAL_IPV4
                                 ? mal_address_ipv4(0xe9fc0010)
                                 : mal_address_make(MAL_IPV6, (MalU128)0xff3e << 112);
          for (size_t i = 0; i < n; i++)
            ranges[i] = (AapRange){ { first, first }, 1000 };
          AapMessage msg = { .type = type,
                             .family = family,
                             .ranges = ranges,
                             .n_ranges = type == AAP_ANA ? 0 : n,
                             .requests = &request,
                             .n_requests = type == AAP_ANA ? 1 : 0 };
          uint8_t data[4000];
          AapMessage out;
          size_t length = aap_encode(&msg, data, sizeof data, NULL);
          if (length == 0)
            continue;
          cr_assert(aap_decode(data, length, scratch, &out, NULL));
          length = aap_auth_seal(s.auth, first, data, length, sizeof data);
          cr_assert_gt(length, 0);
          cr_assert_not(aap_decode(data, length, scratch, &out, NULL), "type %u, %zu ranges", type,
                        n);
        }
    side_clear(&s);
  }
}

Test(aap_auth, counters_bear_reordering_and_refuse_replays)
{
  Side from = { 0 }, to = { 0 };
  uint8_t data[100][200];
  size_t length[100];
  side_init(&from, "[shared k]\nkey=" A "\n", 7, 0);
  side_init(&to, "[shared k]\nkey=" A "\n", 8, 0);
  for (unsigned i = 0; i < 100; i++)
    length[i] = seal(&from, data[i]);
  cr_assert_eq(open_it(&to, data[70], length[70]), AAP_AUTH_OK);
  for (unsigned i = 0; i < 70; i++)
    cr_assert_eq(open_it(&to, data[i], length[i]), i < 7 ? AAP_AUTH_REPLAY : AAP_AUTH_OK, "%u", i);
  for (unsigned i = 0; i <= 70; i++)
    cr_assert_eq(open_it(&to, data[i], length[i]), AAP_AUTH_REPLAY);
  cr_assert_eq(open_it(&to, data[99], length[99]), AAP_AUTH_OK);
  side_clear(&from);
  side_clear(&to);
}

static void keep_peer(uint32_t key_id, uint64_t sender, uint64_t highest, void *data)
{
  aap_auth_restore_peer(((Side *)data)->auth, key_id, sender, highest);
}

static void count_peer(uint32_t key_id, uint64_t sender, uint64_t highest, void *data)
{
  (void)key_id;
  (void)sender;
  (void)highest;
  ++*(unsigned *)data;
}

Test(aap_auth, counters_survive_restarts_on_both_sides)
{
  Side from = { 0 }, to = { 0 }, again = { 0 }, later = { 0 };
  uint8_t old[200], data[200];
  unsigned n = 0;
  side_init(&from, "[shared k]\nkey=" A "\n", 7, 0);
  side_init(&to, "[shared k]\nkey=" A "\n", 8, 0);
  size_t length = seal(&from, old);
  cr_assert_eq(open_it(&to, old, length), AAP_AUTH_OK);
  aap_auth_changes(to.auth, count_peer, &n);
  aap_auth_changes(to.auth, count_peer, &n);
  cr_assert_eq(n, 1, "told once");
  side_init(&again, "[shared k]\nkey=" A "\n", 8, 0);
  aap_auth_each_peer(to.auth, keep_peer, &again);
  cr_assert_eq(open_it(&again, old, length), AAP_AUTH_REPLAY, "the receiver remembers");
  side_init(&later, "[shared k]\nkey=" A "\n", 7, from.asked);
  length = seal(&later, data);
  cr_assert_eq(open_it(&again, data, length), AAP_AUTH_OK,
               "the sender goes on behind what it had reserved");
  side_clear(&from);
  side_clear(&to);
  side_clear(&again);
  side_clear(&later);
}

/* An older copy of the sender's disk has counters that were used meanwhile: the clock is ahead of
   them. Where the clock went back, the disk is. */
Test(aap_auth, a_sender_whose_disk_was_restored_from_an_older_copy_is_heard)
{
  Side to = { 0 };
  uint8_t data[200];
  int64_t wall = 1795376488;
  uint64_t backup = aap_auth_begin_at(0, wall), next = backup;
  side_init(&to, "[shared k]\nkey=" A "\n", 8, 0);
  for (unsigned i = 0; i < 3; i++) {
    Side from = { 0 };
    side_init(&from, "[shared k]\nkey=" A "\n", 7, next);
    size_t length = seal(&from, data);
    cr_assert_eq(open_it(&to, data, length), AAP_AUTH_OK);
    next = aap_auth_begin_at(from.asked, wall);
    cr_assert_eq(next, from.asked, "the disk is ahead");
    side_clear(&from);
  }
  Side stale = { 0 }, restored = { 0 };
  side_init(&stale, "[shared k]\nkey=" A "\n", 7, backup);
  size_t length = seal(&stale, data);
  cr_assert_eq(open_it(&to, data, length), AAP_AUTH_REPLAY);
  side_init(&restored, "[shared k]\nkey=" A "\n", 7, aap_auth_begin_at(backup, wall + 3600));
  length = seal(&restored, data);
  cr_assert_eq(open_it(&to, data, length), AAP_AUTH_OK);
  side_clear(&to);
  side_clear(&stale);
  side_clear(&restored);
  cr_assert_eq(aap_auth_begin_at(77, -5), 77, "a clock before 1970");
  cr_assert_eq(aap_auth_begin_at(77, INT64_MAX), UINT64_C(1) << 60, "one beyond all sense");
}

Test(aap_auth, nothing_is_sealed_before_its_counter_is_durable)
{
  Side s = { .slow = true };
  uint8_t data[200];
  side_init(&s, "[shared k]\nkey=" A "\n", 7, 500);
  cr_assert_eq(s.asked, 500 + AAP_AUTH_RESERVE);
  cr_assert_eq(seal(&s, data), 0);
  aap_auth_reserved(s.auth, 502);
  cr_assert_gt(seal(&s, data), 0);
  cr_assert_gt(seal(&s, data), 0);
  cr_assert_eq(seal(&s, data), 0);
  cr_assert_eq(aap_auth_seal(s.auth, group(), data, 100, 120), 0, "too small");
  side_clear(&s);
}

Test(aap_auth, two_keys_are_valid_at_once_while_one_replaces_the_other)
{
  Side from = { 0 }, to = { 0 };
  uint8_t data[200];
  side_init(&from, "[shared old]\nkey=" A "\n", 7, 0);
  side_init(&to, "[shared old]\nkey=" A "\n[shared new]\nkey=" B "\nsend=yes\n", 8, 0);
  size_t length = seal(&from, data);
  cr_assert_eq(open_it(&to, data, length), AAP_AUTH_OK);
  length = seal(&to, data);
  cr_assert_eq(open_it(&from, data, length), AAP_AUTH_KEY);
  g_autoptr(AapKeys) both = keys_of("[shared old]\nkey=" A "\n[shared new]\nkey=" B "\nsend=yes\n");
  aap_auth_set_keys(from.auth, both);
  length = seal(&to, data);
  cr_assert_eq(open_it(&from, data, length), AAP_AUTH_OK);
  length = seal(&from, data);
  cr_assert_eq(open_it(&to, data, length), AAP_AUTH_OK);
  cr_assert_str_eq(aap_keys_sends_with(both), "new");
  side_clear(&from);
  side_clear(&to);
}

Test(aap_auth, key_files_that_are_refused)
{
  static const struct {
    const char *text, *says;
  } cases[] = {
    { "", "to send with" },
    { "[peer a]\npublic=" A "\n", "to send with" },
    { "[shared a]\n", "key is missing" },
    { "[shared a]\nkey=12\n", "64 hex digits" },
    { "[shared a]\nkey=zz" A "\n", "64 hex digits" },
    { "[shared a]\nkey=" A "\nx=1\n", "unknown key x" },
    { "[shared a]\nkey=" A "\nsend=maybe\n", "neither yes nor no" },
    { "[shared a]\nkey=" A "\n[shared b]\nkey=" A "\nsend=yes\n", "same key" },
    { "[shared a]\nkey=" A "\n[shared b]\nkey=" B "\n", "say send = yes" },
    { "[shared a]\nkey=" A "\nsend=yes\n[shared b]\nkey=" B "\nsend=yes\n", "more than one" },
    { "[peer a]\npublic=" A "\nsend=yes\n", "unknown key send" },
    { "[secret a]\nkey=" A "\n", "is neither" },
    { "[shared a]\nkey=" A "\n[shared a]\nkey=" B "\n", "[shared a]: it stands twice" },
    { "[shared a]\nkey=" A "\n\n  [shared a]\nsend=yes\n", "[shared a]: it stands twice" },
    { "[shared a]\nkey=" A "\n#x\n  key = " B "\n", "[shared a]: key stands twice" },
    { "[shared a]\nkey=" A "\n[shared b]\nkey=" B "\nsend=yes\nsend=no", "send stands twice" },
    { "key=" A "\n", "not groups" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    cr_assert_null(aap_keys_parse(cases[i].text, strlen(cases[i].text), &error), "%zu", i);
    cr_assert(strstr(error->message, cases[i].says), "%zu: %s", i, error->message);
    cr_assert(!strstr(error->message, "0101") && !strstr(error->message, "0202"), "%zu shows a key",
              i);
  }
}

/* Nor do they stand twice. A NUL would end a line for GLib alone. */
Test(aap_auth, lines_that_say_nothing)
{
#define LINES(text, good) { text, sizeof text - 1, good }
  static const struct {
    const char *text;
    size_t length;
    bool good;
  } rows[] = { LINES("[shared a]\n\0\n\0\nkey=" A "\n", false),
               LINES("\0x\n[shared a]\nkey=" A, false),
               LINES("#\n\n#\n \t\n[shared a]\n\nkey=" A "\n\n", true) };
#undef LINES
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(AapKeys) keys = aap_keys_parse(rows[i].text, rows[i].length, &error);
    cr_expect_eq(keys != NULL, rows[i].good, "%zu: %s", i, error ? error->message : "");
  }
}

Test(aap_auth, senders_are_bounded)
{
  Side to = { 0 };
  uint8_t data[200];
  side_init(&to, "[shared k]\nkey=" A "\n", 8, 0);
  for (uint64_t i = 0; i <= AAP_AUTH_PEERS_MOST; i++) {
    Side from = { 0 };
    side_init(&from, "[shared k]\nkey=" A "\n", 100 + i, 0);
    size_t length = seal(&from, data);
    cr_assert_eq(open_it(&to, data, length),
                 i < AAP_AUTH_PEERS_MOST ? AAP_AUTH_OK : AAP_AUTH_CROWD);
    side_clear(&from);
  }
  side_clear(&to);
}
