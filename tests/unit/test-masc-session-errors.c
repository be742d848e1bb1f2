/* What a session answers to errors, down to the octets (RFC 2909 7.5, 8), and what it makes of the
   answers of others. */
#include "tests/unit/masc-session-bed.h"

#include <criterion/criterion.h>

/* ---- 8.1 ------------------------------------------------------------------------------------- */

Test(rfc2909_8_1, header_errors_come_back_with_the_message)
{
  static const struct {
    MascState state;
    const char *fed, *answer;
    bool open;
  } rows[] = {
    { MASC_OPEN_SENT, "0003 01 00", "000a 03 00 01 01 0003 01 00", false },
    { MASC_OPEN_SENT, "1001 01 00", "000a 03 00 01 01 1001 01 00", false },
    { MASC_OPEN_SENT, "0008 01 00 01050000", "000e 03 00 01 01 0008 01 00 01050000", false },
    { MASC_OPEN_SENT, "0005 05 00 aa", "000b 03 00 01 02 0005 05 00 aa", false },
    { MASC_OPEN_CONFIRM, "0005 04 00 00", "000b 03 00 01 01 0005 04 00 00", false },
    { MASC_OPEN_CONFIRM, "0004 00 00", "000a 03 00 01 02 0004 00 00", false },
    { MASC_ESTABLISHED, "0004 02 00", "000a 03 00 01 01 0004 02 00", false },
    { MASC_ESTABLISHED, "0006 ff 00 aabb", "000c 03 00 81 02 0006 ff 00 aabb", true },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(MascBed) bed = masc_bed_new(1);
    MascEnd *end = masc_bed_alone(bed, NULL);
    MascLink link = masc_bed_reach(end, rows[i].state, MASC_BED_OPEN);
    masc_bed_feed(end, link, rows[i].fed);
    cr_expect(masc_bed_octets_are(end, rows[i].answer), "row %zu: %s", i, masc_bed_said(end));
    cr_expect_eq(masc_session_state(end->session), rows[i].open ? rows[i].state : MASC_IDLE,
                 "row %zu", i);
  }
}

Test(rfc2909_8_1, nothing_is_read_behind_what_closed_the_connection)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascEnd *end = masc_bed_alone(bed, NULL);
  MascLink link = masc_bed_reach(end, MASC_ESTABLISHED, MASC_BED_OPEN);
  masc_bed_feed(end, link, MASC_BED_UPDATE "0003 04 00" MASC_BED_UPDATE MASC_BED_UPDATE);
  cr_expect_eq(end->claims->len, 1);
  cr_expect_eq(end->downs[MASC_DOWN_ERROR], 1);
}

/* ---- 8.2 ------------------------------------------------------------------------------------- */

#define FED(body) "0014 01 00 " body
#define BACK(subcode, body) "0016 03 00 02" subcode body

static const MascId two[] = { 64496, 64499 };

Test(rfc2909_8_2, open_errors)
{
  static const struct {
    MascRole role;
    MascId parent; /* of our session; 0 with none: top-level */
    unsigned n_parents;
    const char *body, *answer;
  } rows[] = {
    { MASC_PARENT, 64496, 1, "02 05 00f0 0000fbf6 c0000202 00000000", "0007 03 00 02 01 01" },
    { MASC_PARENT, 64496, 1, "01 05 00f0 00000000 c0000202 00000000",
      BACK("02", "01 05 00f0 00000000 c0000202 00000000") },
    { MASC_PARENT, 64496, 1, "01 05 00f0 0000fbf5 c0000202 00000000",
      BACK("02", "01 05 00f0 0000fbf5 c0000202 00000000") },
    { MASC_PARENT, 64496, 1, "01 05 00f0 0000fbf6 c0000201 00000000",
      BACK("03", "01 05 00f0 0000fbf6 c0000201 00000000") },
    { MASC_PARENT, 64496, 1, "01 05 0001 0000fbf6 c0000202 00000000",
      BACK("06", "01 05 0001 0000fbf6 c0000202 00000000") },
    { MASC_PARENT, 64496, 1, "01 07 00f0 0000fbf6 c0000202 00000000", "0007 03 00 02 08 03" },
    { MASC_PARENT, 64496, 1, "01 0d 00f0 0000fbf6 c0000202 00000000",
      BACK("0d", "01 0d 00f0 0000fbf6 c0000202 00000000") },
    { MASC_INTERNAL, 0, 0, "01 04 00f0 0000fbf5 c0000202 0000fbf0", "000a 03 00 02 07 00000000" },
    { MASC_INTERNAL, 64496, 2, "01 04 00f0 0000fbf5 c0000202 00000000",
      "000e 03 00 02 07 0000fbf0 0000fbf3" },
    { MASC_SIBLING, 64496, 2, "01 06 00f0 0000fbf6 c0000202 0000fbff",
      "000e 03 00 02 0a 0000fbf0 0000fbf3" },
    { MASC_SIBLING, 64496, 2, "01 06 00f0 0000fbf6 c0000202 0000fbf6",
      "000a 03 00 02 09 0000fbf6" },
    /* a parent in common, but not the one that this session is about (4.4) */
    { MASC_SIBLING, 64496, 2, "01 06 00f0 0000fbf6 c0000202 0000fbf3",
      "000a 03 00 02 09 0000fbf3" },
    { MASC_SIBLING, 64499, 2, "01 06 00f0 0000fbf6 c0000202 0000fbf3", "0004 04 00" },
    { MASC_SIBLING, 0, 0, "01 06 00f0 0000fbf6 c0000202 00000000", "0004 04 00" },
    { MASC_SIBLING, 0, 0, "01 06 00f0 0000fbf6 c0000202 0000fbf0", "000a 03 00 02 0a 00000000" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(MascBed) bed = masc_bed_new(1);
    MascSessionConfig config = masc_bed_config(rows[i].role);
    config.rule.parents = two;
    config.rule.n_parents = rows[i].n_parents;
    config.parent = rows[i].parent;
    MascEnd *end = masc_bed_alone(bed, &config);
    MascLink link = masc_bed_reach(end, MASC_OPEN_SENT, "");
    g_autofree char *fed = g_strconcat(FED(""), rows[i].body, NULL);
    masc_bed_feed(end, link, fed);
    bool good = g_str_equal(rows[i].answer, "0004 04 00");
    cr_expect(masc_bed_octets_are(end, rows[i].answer), "row %zu: %s", i, masc_bed_said(end));
    cr_expect_eq(masc_session_state(end->session), good ? MASC_OPEN_CONFIRM : MASC_IDLE, "row %zu",
                 i);
  }
}

/* There is one version: who bids another one learns that, and who is told so can but wait. */
Test(rfc2909_9, one_version)
{
  static const char *const bids[] = { "00", "02", "ff" };
  for (size_t i = 0; i < G_N_ELEMENTS(bids); i++) {
    g_autoptr(MascBed) bed = masc_bed_new(1);
    MascEnd *end = masc_bed_alone(bed, NULL);
    MascLink link = masc_bed_reach(end, MASC_OPEN_SENT, "");
    g_autofree char *fed =
        g_strconcat("0018 01 00 ", bids[i], "aa 0000 11111111 22222222 33333333 44444444", NULL);
    masc_bed_feed(end, link, fed);
    cr_expect(masc_bed_octets_are(end, "0007 03 00 02 01 01"), "bid %s", bids[i]);
  }
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascEnd *end = masc_bed_alone(bed, NULL);
  MascLink link = masc_bed_reach(end, MASC_OPEN_CONFIRM, MASC_BED_OPEN);
  masc_bed_feed(end, link, "0007 03 00 02 01 01");
  cr_expect_str_eq(masc_bed_said(end), "close");
  cr_expect_eq(masc_bed_status(end).error_in.code, MASC_ERROR_OPEN);
  cr_expect_eq(masc_bed_status(end).error_in.subcode, MASC_OPEN_VERSION);
  cr_expect_eq(masc_bed_status(end).backoff, S(60));
}

/* ---- 8.3 ------------------------------------------------------------------------------------- */

#define TIMES "395d5e80 00278d00 0002a300 "
#define GOOD MASC_BED_CLAIM("03", "04")

Test(rfc2909_8_3, an_attribute_is_refused_and_the_others_stand)
{
  static const struct {
    uint8_t subcode;
    const char *attribute;
  } rows[] = {
    { MASC_UPDATE_UNRECOGNIZED,
      "0024 06 00 00 04 0000" TIMES "0000fbf6 c0000202 e9fc0000 ffffff00" },
    { MASC_UPDATE_ADDRESS, "0024 03 00 00 04 0000" TIMES "0000fbf6 c0000202 0a000000 ffffff00" },
    { MASC_UPDATE_MASK, "0024 03 00 00 04 0000" TIMES "0000fbf6 c0000202 e9fc0000 00000000" },
    { MASC_UPDATE_NON_CONTIGUOUS,
      "0024 03 00 00 04 0000" TIMES "0000fbf6 c0000202 e9000000 ff00ff00" },
    { MASC_UPDATE_CLAIM_TYPE, "0024 03 00 00 07 0000" TIMES "0000fbf6 c0000202 e9fc0000 ffffff00" },
    { MASC_UPDATE_ORIGIN_DOMAIN,
      "0024 03 00 00 04 0000" TIMES "00000000 c0000202 e9fc0000 ffffff00" },
    { MASC_UPDATE_ORIGIN_NODE,
      "0024 03 00 00 04 0000" TIMES "0000fbf6 00000000 e9fc0000 ffffff00" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(MascBed) bed = masc_bed_new(1);
    MascEnd *end = masc_bed_alone(bed, NULL);
    MascLink link = masc_bed_reach(end, MASC_ESTABLISHED, MASC_BED_OPEN);
    g_autofree char *update = g_strconcat("0070 02 00" GOOD, rows[i].attribute, GOOD, NULL);
    g_autofree char *answer =
        g_strdup_printf("002a 03 00 83 %02x %s", rows[i].subcode, rows[i].attribute);
    masc_bed_feed(end, link, update);
    cr_expect(masc_bed_octets_are(end, answer), "row %zu: %s", i, masc_bed_said(end));
    cr_expect(end->up);
    cr_expect_eq(end->claims->len, 2);
    cr_expect_eq(end->updates, 1);
    cr_expect_eq(masc_bed_status(end).refused_in, 1);
    cr_expect_eq(end->last[MASC_SESSION_SENT].subcode, rows[i].subcode);
    cr_expect(end->last[MASC_SESSION_SENT].open);
  }
}

Test(rfc2909_8_3, what_must_close_takes_the_whole_update_along)
{
  static const struct {
    uint8_t subcode;
    const char *attribute;
  } rows[] = {
    { MASC_UPDATE_LENGTH, "0026 03 00 00 04 0000" TIMES "0000fbf6 c0000202 e9fc0000 ffffff00" },
    { MASC_UPDATE_LENGTH, "0028 03 00 00 04 0000" TIMES "0000fbf6 c0000202 e9fc0000 ffffff00" },
    { MASC_UPDATE_FAMILY, "0024 03 00 00 0c 0000" TIMES "0000fbf6 c0000202 e9fc0000 ffffff00" },
    { MASC_UPDATE_MALFORMED, "0003 06 00 00 04 0000" TIMES "0000fbf6 c0000202 e9fc0000 ffffff00" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(MascBed) bed = masc_bed_new(1);
    MascEnd *end = masc_bed_alone(bed, NULL);
    MascLink link = masc_bed_reach(end, MASC_ESTABLISHED, MASC_BED_OPEN);
    g_autofree char *update = g_strconcat("004c 02 00" GOOD, rows[i].attribute, NULL);
    g_autofree char *answer =
        g_strdup_printf("002a 03 00 03 %02x %s", rows[i].subcode, rows[i].attribute);
    masc_bed_feed(end, link, update);
    cr_expect(masc_bed_octets_are(end, answer), "row %zu: %s", i, masc_bed_said(end));
    cr_expect_eq(end->downs[MASC_DOWN_ERROR], 1, "row %zu", i);
    cr_expect_eq(end->claims->len, 0, "row %zu", i);
  }
}

/* What only those who receive claims can know. */
Test(rfc2909_8_3, the_receiver_refuses)
{
  for (unsigned subcode = 1; subcode < 31; subcode++) {
    if (!masc_error_known(MASC_ERROR_UPDATE, subcode))
      continue;
    bool closes = masc_error_must_close(MASC_ERROR_UPDATE, subcode);
    g_autoptr(MascBed) bed = masc_bed_new(1);
    MascEnd *end = masc_bed_alone(bed, NULL);
    MascLink link = masc_bed_reach(end, MASC_ESTABLISHED, MASC_BED_OPEN);
    end->refuse = (uint8_t)subcode;
    end->refuse_type = MASC_NEW_CLAIM;
    masc_bed_feed(end, link, "004c 02 00" GOOD MASC_BED_CLAIM("00", "04"));
    g_autofree char *answer =
        g_strdup_printf("002a 03 00 %s %02x %s", closes ? "03" : "83", subcode, GOOD);
    cr_expect(masc_bed_octets_are(end, answer), "subcode %u: %s", subcode, masc_bed_said(end));
    cr_expect_eq(end->up, !closes, "subcode %u", subcode);
    cr_expect_eq(end->claims->len, closes ? 0 : 1, "subcode %u", subcode);
    cr_expect_eq(end->updates, closes ? 0 : 1, "subcode %u", subcode);
  }
}

Test(rfc2909_7_5, notifications_that_keep_the_connection_open_are_few)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascSessionConfig config = masc_bed_config(MASC_PARENT);
  config.notify_rate = 10;
  MascEnd *end = masc_bed_alone(bed, &config);
  MascLink link = masc_bed_reach(end, MASC_ESTABLISHED, MASC_BED_OPEN);
  end->refuse = MASC_UPDATE_LIFETIME_LONG;
  end->refuse_type = MASC_NEW_CLAIM;
  for (unsigned i = 0; i < 500; i++)
    masc_bed_feed(end, link, MASC_BED_UPDATE);
  MascSessionStatus status = masc_bed_status(end);
  cr_expect(end->up);
  cr_expect_eq(status.refused_in, 500);
  cr_expect_eq(status.messages_out[MASC_NOTIFICATION], 10);
  cr_expect_eq(status.suppressed, 490);
  cr_expect_eq(end->notes[MASC_SESSION_SUPPRESSED], 490);
  masc_bed_pass(bed, S(1) / 10);
  masc_bed_feed(end, link, MASC_BED_UPDATE MASC_BED_UPDATE);
  cr_expect_eq(masc_bed_status(end).messages_out[MASC_NOTIFICATION], 11);
  masc_bed_pass(bed, S(5));
  for (unsigned i = 0; i < 50; i++)
    masc_bed_feed(end, link, MASC_BED_UPDATE);
  cr_expect_eq(masc_bed_status(end).messages_out[MASC_NOTIFICATION], 21);
  /* what closes is never held back */
  masc_bed_feed(end, link, "0003 04 00");
  cr_expect_eq(masc_bed_status(end).messages_out[MASC_NOTIFICATION], 22);
}

Test(rfc2909_7_5, no_notification_keeps_the_connection_open_where_none_is_allowed)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascSessionConfig config = masc_bed_config(MASC_PARENT);
  config.notify_rate = 0;
  MascEnd *end = masc_bed_alone(bed, &config);
  MascLink link = masc_bed_reach(end, MASC_ESTABLISHED, MASC_BED_OPEN);
  masc_bed_feed(end, link, "0004 09 00");
  masc_bed_pass(bed, S(30));
  masc_bed_feed(end, link, "0004 09 00");
  cr_expect(end->up);
  cr_expect_eq(masc_bed_status(end).suppressed, 2);
}

/* ---- what others answer ---------------------------------------------------------------------- */

Test(rfc2909_8_6, errors_in_notifications)
{
  static const struct {
    const char *fed, *answer; /* NULL: none, and the operator is told */
    uint8_t code, subcode;
  } rows[] = {
    { "0006 03 00 ff 00", "000c 03 00 06 00 0006 03 00 ff 00", 127, 0 },
    { "0008 03 00 83 03 aabb", "000e 03 00 06 00 0008 03 00 83 03 aabb", 3, 3 },
    { "0006 03 00 87 00", "000c 03 00 06 00 0006 03 00 87 00", 7, 0 }, /* Cease must close */
    { "0006 03 00 83 05", "000c 03 00 06 00 0006 03 00 83 05", 3, 5 },
    { "0006 03 00 7f 00", NULL, 127, 0 },
    { "0006 03 00 03 04", NULL, 3, 4 },
    { "0006 03 00 00 00", NULL, 0, 0 },
    { "0004 03 00", NULL, 0, 0 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    for (unsigned state = MASC_OPEN_SENT; state <= MASC_ESTABLISHED; state++) {
      g_autoptr(MascBed) bed = masc_bed_new(1);
      MascEnd *end = masc_bed_alone(bed, NULL);
      MascLink link = masc_bed_reach(end, state, MASC_BED_OPEN);
      masc_bed_feed(end, link, rows[i].fed);
      cr_expect_eq(masc_session_state(end->session), MASC_IDLE);
      if (rows[i].answer != NULL)
        cr_expect(masc_bed_octets_are(end, rows[i].answer), "row %zu in %u: %s", i, state,
                  masc_bed_said(end));
      else
        cr_expect_str_eq(masc_bed_said(end), "close", "row %zu in %u", i, state);
      if (state == MASC_ESTABLISHED)
        cr_expect_eq(end->downs[rows[i].answer == NULL ? MASC_DOWN_NOTIFIED : MASC_DOWN_ERROR], 1);
      cr_expect_eq(end->notes[MASC_SESSION_SILENT], rows[i].answer == NULL, "row %zu", i);
      cr_expect_eq(masc_bed_status(end).error_in.code, rows[i].code, "row %zu", i);
      cr_expect_eq(masc_bed_status(end).error_in.subcode, rows[i].subcode, "row %zu", i);
    }
  }
}

Test(rfc2909_7_5, who_is_refused_learns_which_claim_it_was)
{
  static const struct {
    const char *fed;
    unsigned claims;
  } rows[] = {
    { "002a 03 00 83 12" GOOD, 1 },
    { "0020 03 00 83 12 0024 03 00 00 04 0000" TIMES "0000fbf6 c0000202", 0 }, /* cut */
    { "0006 03 00 83 12", 0 },
    { "002a 03 00 81 02" GOOD, 0 },
    /* 8.3 may also be read so that all of the UPDATE is shown */
    { "004e 03 00 83 12" GOOD GOOD, 2 },
    { "0054 03 00 83 12" GOOD "0006 80 00 0000" GOOD, 0 },
    { "0056 03 00 83 12" GOOD "0008 80 00 00000000" GOOD, 2 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(MascBed) bed = masc_bed_new(1);
    MascEnd *end = masc_bed_alone(bed, NULL);
    MascLink link = masc_bed_reach(end, MASC_ESTABLISHED, MASC_BED_OPEN);
    masc_bed_feed(end, link, rows[i].fed);
    cr_expect(end->up);
    cr_expect_eq(end->notes[MASC_SESSION_RECEIVED], 1);
    cr_expect_eq(end->n_refused, rows[i].claims, "row %zu", i);
    cr_expect_eq(end->refused.prefix.length == 24, rows[i].claims > 0, "row %zu", i);
    cr_expect_eq(masc_bed_status(end).refused_out, 1);
    cr_expect_str_eq(masc_bed_said(end), "");
  }
}

/* As many as an UPDATE can hold: the rest of the Data is not looked at. */
Test(rfc2909_7_5, a_whole_update_is_refused)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascEnd *end = masc_bed_alone(bed, NULL);
  MascLink link = masc_bed_reach(end, MASC_ESTABLISHED, MASC_BED_OPEN);
  g_autoptr(GString) fed = g_string_new(NULL);
  g_string_append_printf(fed, "%04x 03 00 83 12", 6 + 36 * MASC_MAX_CLAIMS);
  for (unsigned i = 0; i < MASC_MAX_CLAIMS; i++)
    g_string_append(fed, GOOD);
  masc_bed_feed(end, link, fed->str);
  cr_expect_eq(end->n_refused, MASC_MAX_CLAIMS);
  cr_expect(end->up);
}

/* ---- what its caller should not do ----------------------------------------------------------- */

#define NOBODY 4000 /* a link that the session does not know */

Test(rfc2909_10_1, links_that_are_none_known_already_or_not_blocked)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascEnd *end = masc_bed_alone(bed, NULL);
  MascNow now = masc_bed_now(bed);
  MascLink link = masc_bed_reach(end, MASC_OPEN_SENT, NULL);
  cr_expect_not(masc_session_accepted(end->session, 0, now));
  cr_expect_not(masc_session_accepted(end->session, link, now));
  cr_expect_eq(masc_bed_status(end).turned_away, 2);
  masc_session_writable(end->session, NOBODY, now);
  masc_session_writable(end->session, link, now);
  cr_expect_str_eq(masc_bed_said(end), "");
  masc_session_free(NULL);

  g_autoptr(MascBed) other = masc_bed_new(1);
  end = masc_bed_alone(other, NULL);
  link = masc_bed_reach(end, MASC_ESTABLISHED, MASC_BED_OPEN);
  masc_session_writable(end->session, link, masc_bed_now(other));
  cr_expect_str_eq(masc_bed_said(end), "");
}

/* A timer that is always due would never let the caller's loop sleep. */
Test(rfc2909_10_1, no_timer_spins)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascSessionConfig config = masc_bed_config(MASC_PARENT);
  config.connect_retry = config.open_wait = config.backoff_first = config.backoff_most =
      config.stuck_wait = 0;
  config.hold_time = 1;
  const MascSessionConfig *c = masc_session_config(masc_bed_alone(bed, &config)->session);
  const int64_t times[] = { c->connect_retry, c->open_wait, c->backoff_first, c->backoff_most,
                            c->stuck_wait };
  for (size_t i = 0; i < G_N_ELEMENTS(times); i++)
    cr_expect_geq(times[i], S(1) / 1000, "%zu", i);
  cr_expect_eq(c->hold_time, MASC_HOLD_TIME_MIN);
}

/* Nothing that the peer would have to refuse leaves: without an OPEN there is no connection. */
Test(rfc2909_8_2, an_open_that_can_not_be_written)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascSessionConfig config = masc_bed_config(MASC_PARENT);
  config.rule.node = 0;
  MascEnd *end = masc_bed_alone(bed, &config);
  masc_session_start(end->session, 0, masc_bed_now(bed));
  masc_bed_said(end);
  masc_session_connected(end->session, end->connecting, masc_bed_now(bed));
  cr_expect_eq(masc_session_state(end->session), MASC_IDLE);
  cr_expect_str_eq(masc_bed_said(end), "close");
}
