/* Every state with every event (RFC 2909 10.1), and what section 10.1 says beside that. */
#include "tests/support/masc-packets.h"
#include "tests/unit/masc-session-bed.h"

#include <criterion/criterion.h>

#define NOBODY 4000 /* a link that the session does not know */

typedef enum { STOPPED, WAITING, CONNECT, ACTIVE, OPEN_SENT, OPEN_CONFIRM, UP, N_ROWS } Row;
typedef enum {
  START,
  STOP,
  CONNECTED,
  FAILED,
  CLOSED,
  INCOMING,
  TIMER, /* the next one: Start, ConnectRetry, Hold in OpenSent, KeepAlive */
  HOLD,  /* 3 seconds of silence */
  OPEN,
  BAD_OPEN,
  KEEPALIVE,
  UPDATE,
  BAD_UPDATE, /* must close */
  NOTIFICATION,
  NOTE, /* one that keeps the connection open */
  BAD_NOTE,
  BAD_TYPE,
  BAD_LENGTH,
  N_EVENTS
} Happening;

static const char *const row_names[N_ROWS] = { "Idle (stopped)", "Idle (after an error)",
                                               "Connect",        "Active",
                                               "OpenSent",       "OpenConfirm",
                                               "Established" };
static const char *const event_names[N_EVENTS] = {
  "Start",         "Stop",   "connected",  "failed",       "closed",
  "incoming",      "timer",  "hold",       "OPEN",         "bad OPEN",
  "KEEPALIVE",     "UPDATE", "bad UPDATE", "NOTIFICATION", "NOTIFICATION open",
  "NOTIFICATION?", "type 9", "length 3"
};

#define SHORT_OPEN "0014 01 00 01 05 0003 0000fbf6 c0000202 00000000" /* hold time 3 */
/* An attribute that says to be longer than the message. */
#define LONG_UPDATE                                                                                \
  "00280200 00260300 00040000 395d5e80 00278d00 0002a300 0000fbf6 c0000202 e9fc0000 ffffff00"
#define SAME                                                                                       \
  {                                                                                                \
    -1, ""                                                                                         \
  } /* nothing happens */

typedef struct {
  int to; /* MascState */
  const char *said;
} Cell;

static const Cell cells[N_EVENTS][N_ROWS] = {
  [START] = { { MASC_CONNECT, "connect" },
              { MASC_CONNECT, "connect" },
              SAME,
              SAME,
              SAME,
              SAME,
              SAME },
  [STOP] = { SAME,
             SAME,
             { MASC_IDLE, "close" },
             { MASC_IDLE, "" },
             { MASC_IDLE, "NOTIFICATION 7.0; close" },
             { MASC_IDLE, "NOTIFICATION 7.0; close" },
             { MASC_IDLE, "NOTIFICATION 7.0; close" } },
  [CONNECTED] = { SAME, SAME, { MASC_OPEN_SENT, "OPEN" }, SAME, SAME, SAME, SAME },
  [FAILED] = { SAME, SAME, { MASC_ACTIVE, "" }, SAME, SAME, SAME, SAME },
  [CLOSED] = { SAME,
               SAME,
               { MASC_ACTIVE, "" },
               SAME,
               { MASC_ACTIVE, "" },
               { MASC_IDLE, "" },
               { MASC_IDLE, "" } },
  [INCOMING] = { SAME,
                 SAME,
                 { MASC_OPEN_SENT, "OPEN" },
                 { MASC_OPEN_SENT, "OPEN" },
                 { MASC_OPEN_SENT, "OPEN" },
                 { MASC_OPEN_CONFIRM, "OPEN" },
                 { MASC_ESTABLISHED, "OPEN" } },
  [TIMER] = { SAME,
              { MASC_CONNECT, "connect" },
              { MASC_CONNECT, "close; connect" },
              { MASC_CONNECT, "connect" },
              { MASC_IDLE, "NOTIFICATION 4.0; close" },
              { MASC_OPEN_CONFIRM, "KEEPALIVE" },
              { MASC_ESTABLISHED, "KEEPALIVE" } },
  [HOLD] = { SAME,
             SAME,
             SAME,
             SAME,
             SAME,
             { MASC_IDLE, "KEEPALIVE; KEEPALIVE; NOTIFICATION 4.0; close" },
             { MASC_IDLE, "KEEPALIVE; KEEPALIVE; NOTIFICATION 4.0; close" } },
  [OPEN] = { SAME,
             SAME,
             SAME,
             SAME,
             { MASC_OPEN_CONFIRM, "KEEPALIVE" },
             { MASC_IDLE, "NOTIFICATION 5.0; close" },
             { MASC_IDLE, "NOTIFICATION 5.0; close" } },
  [BAD_OPEN] = { SAME,
                 SAME,
                 SAME,
                 SAME,
                 { MASC_IDLE, "NOTIFICATION 2.6; close" },
                 { MASC_IDLE, "NOTIFICATION 5.0; close" },
                 { MASC_IDLE, "NOTIFICATION 5.0; close" } },
  [KEEPALIVE] = { SAME,
                  SAME,
                  SAME,
                  SAME,
                  { MASC_IDLE, "NOTIFICATION 5.1; close" },
                  { MASC_ESTABLISHED, "" },
                  SAME },
  [UPDATE] = { SAME,
               SAME,
               SAME,
               SAME,
               { MASC_IDLE, "NOTIFICATION 5.1; close" },
               { MASC_IDLE, "NOTIFICATION 5.0; close" },
               SAME },
  [BAD_UPDATE] = { SAME,
                   SAME,
                   SAME,
                   SAME,
                   { MASC_IDLE, "NOTIFICATION 5.1; close" },
                   { MASC_IDLE, "NOTIFICATION 5.0; close" },
                   { MASC_IDLE, "NOTIFICATION 3.5; close" } },
  [NOTIFICATION] = { SAME,
                     SAME,
                     SAME,
                     SAME,
                     { MASC_IDLE, "NOTIFICATION 5.1; close" },
                     { MASC_IDLE, "close" },
                     { MASC_IDLE, "close" } },
  [NOTE] = { SAME,
             SAME,
             SAME,
             SAME,
             { MASC_IDLE, "NOTIFICATION 5.1; close" },
             { MASC_IDLE, "NOTIFICATION 5.0; close" },
             SAME },
  [BAD_NOTE] = { SAME,
                 SAME,
                 SAME,
                 SAME,
                 { MASC_IDLE, "NOTIFICATION 6.0; close" },
                 { MASC_IDLE, "NOTIFICATION 6.0; close" },
                 { MASC_IDLE, "NOTIFICATION 6.0; close" } },
  [BAD_TYPE] = { SAME,
                 SAME,
                 SAME,
                 SAME,
                 { MASC_IDLE, "NOTIFICATION 1.2; close" },
                 { MASC_IDLE, "NOTIFICATION 1.2; close" },
                 { MASC_ESTABLISHED, "NOTIFICATION 1.2 open" } },
  [BAD_LENGTH] = { SAME,
                   SAME,
                   SAME,
                   SAME,
                   { MASC_IDLE, "NOTIFICATION 1.1; close" },
                   { MASC_IDLE, "NOTIFICATION 1.1; close" },
                   { MASC_IDLE, "NOTIFICATION 1.1; close" } },
};

static const char *const fed[N_EVENTS] = {
  [OPEN] = SHORT_OPEN,
  [BAD_OPEN] = "0014 01 00 01 05 0002 0000fbf6 c0000202 00000000",
  [KEEPALIVE] = MASC_BED_KEEPALIVE,
  [UPDATE] = MASC_BED_UPDATE,
  [BAD_UPDATE] = LONG_UPDATE,
  [NOTIFICATION] = MASC_BED_CEASE,
  [NOTE] = MASC_BED_NOTE,
  [BAD_NOTE] = "0006 03 00 bf 01",
  [BAD_TYPE] = "0006 09 00 0102",
  [BAD_LENGTH] = "0003 04 00",
};

static MascLink reach(MascEnd *end, Row row)
{
  static const MascState states[N_ROWS] = { MASC_IDLE,       MASC_OPEN_CONFIRM, MASC_CONNECT,
                                            MASC_ACTIVE,     MASC_OPEN_SENT,    MASC_OPEN_CONFIRM,
                                            MASC_ESTABLISHED };
  MascLink link = masc_bed_reach(end, states[row], SHORT_OPEN);
  if (row != WAITING)
    return link;
  masc_bed_feed(end, link, MASC_BED_CEASE);
  masc_bed_said(end);
  return 0;
}

static void happen(MascEnd *end, Happening what, MascLink link)
{
  MascBed *bed = end->bed;
  MascNow now = masc_bed_now(bed);
  if (fed[what] != NULL) {
    masc_bed_feed(end, link == 0 ? NOBODY : link, fed[what]);
    return;
  }
  switch (what) {
  case START: masc_session_start(end->session, 0, now); break;
  case STOP: masc_session_stop(end->session, now); break;
  case CONNECTED: masc_session_connected(end->session, link, now); break;
  case FAILED: masc_session_failed(end->session, link, now); break;
  case CLOSED: masc_session_closed(end->session, link, now); break;
  case INCOMING: masc_bed_call(end); break;
  case TIMER:
    if (masc_session_due(end->session) != MASC_NEVER)
      masc_bed_run(bed, masc_session_due(end->session));
    break;
  case HOLD:
  default: masc_bed_pass(bed, S(3)); break;
  }
  masc_bed_check(bed);
}

Test(rfc2909_10_1, every_state_with_every_event)
{
  for (unsigned event = 0; event < N_EVENTS; event++)
    for (unsigned row = 0; row < N_ROWS; row++) {
      const Cell *cell = &cells[event][row];
      g_autoptr(MascBed) bed = masc_bed_new(1);
      MascEnd *end = masc_bed_alone(bed, NULL);
      MascLink link = reach(end, row);
      MascState before = masc_session_state(end->session);
      happen(end, event, link);
      MascState after = masc_session_state(end->session);
      MascState want = cell->to < 0 ? before : (MascState)cell->to;
      const char *said = masc_bed_said(end);
      cr_expect_eq(after, want, "%s, %s: %s", row_names[row], event_names[event],
                   masc_state_name(after));
      cr_expect_str_eq(said, cell->said, "%s, %s: \"%s\"", row_names[row], event_names[event],
                       said);
      cr_expect_eq(end->ups, want == MASC_ESTABLISHED || row == UP, "%s, %s", row_names[row],
                   event_names[event]);
    }
}

Test(rfc2909_10_1, why_a_session_goes_down)
{
  static const struct {
    Happening what;
    MascDown why;
    bool again; /* by itself, after the back-off */
  } rows[] = { { STOP, MASC_DOWN_STOPPED, false },    { CLOSED, MASC_DOWN_CLOSED, true },
               { HOLD, MASC_DOWN_HOLD, true },        { OPEN, MASC_DOWN_ERROR, true },
               { BAD_UPDATE, MASC_DOWN_ERROR, true }, { NOTIFICATION, MASC_DOWN_NOTIFIED, true },
               { BAD_LENGTH, MASC_DOWN_ERROR, true }, { BAD_NOTE, MASC_DOWN_ERROR, true } };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(MascBed) bed = masc_bed_new(1);
    MascEnd *end = masc_bed_alone(bed, NULL);
    happen(end, rows[i].what, reach(end, UP));
    MascSessionStatus status = masc_bed_status(end);
    cr_expect_eq(end->downs[rows[i].why], 1, "row %zu", i);
    cr_expect_eq(status.started, rows[i].again, "row %zu", i);
    cr_expect_eq(masc_session_due(end->session), rows[i].again ? bed->now + S(60) : MASC_NEVER,
                 "row %zu", i);
    cr_expect_eq(status.links, 0, "row %zu", i);
  }
}

Test(rfc2909_10_1, our_open_says_who_we_are)
{
  static const struct {
    MascRole role;
    MalFamily family;
    const char *said;
  } rows[] = {
    { MASC_PARENT, MAL_IPV4, "00140100 01 07 00f0 0000fbf5 c0000201 0000fbf0" },
    { MASC_CHILD, MAL_IPV4, "00140100 01 05 00f0 0000fbf5 c0000201 0000fbf0" },
    { MASC_SIBLING, MAL_IPV4, "00140100 01 06 00f0 0000fbf5 c0000201 0000fbf0" },
    { MASC_INTERNAL, MAL_IPV6,
      "00380100 01 08 00f0 0000000000000000000000000000fbf5 000000000000000000000000c0000201"
      "0000000000000000000000000000fbf0" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(MascBed) bed = masc_bed_new(1);
    MascSessionConfig config = masc_bed_config(rows[i].role);
    config.family = rows[i].family;
    MascEnd *end = masc_bed_alone(bed, &config);
    masc_bed_reach(end, MASC_OPEN_SENT, "");
    cr_expect(masc_bed_octets_are(end, rows[i].said), "row %zu", i);
  }
}

Test(rfc2909_10_1, an_open_makes_known_who_the_peer_is)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascEnd *end = masc_bed_alone(bed, NULL);
  masc_bed_reach(end, MASC_ESTABLISHED, "0014 01 00 01 05 005a 0000fbf6 c0000202 00000000");
  MascSessionStatus status = masc_bed_status(end);
  cr_expect_eq(status.state, MASC_ESTABLISHED);
  cr_expect_eq(status.domain, 64502);
  cr_expect_eq(status.node, 0xc0000202);
  cr_expect_eq(status.hold_time, 90);
  cr_expect_eq(status.links, 1);
  cr_expect_not(status.incoming);
  cr_expect_eq(status.since, MASC_BED_EPOCH);
  cr_expect_eq(status.established, 1);
  cr_expect_eq(status.messages_in[MASC_OPEN], 1);
  cr_expect_eq(status.messages_out[MASC_KEEPALIVE], 1);
}

Test(rfc2909_10_1, a_passive_session_listens_only)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascSessionConfig config = masc_bed_config(MASC_PARENT);
  config.passive = true;
  MascEnd *end = masc_bed_alone(bed, &config);
  masc_session_start(end->session, 0, masc_bed_now(bed));
  cr_expect_eq(masc_session_state(end->session), MASC_ACTIVE);
  cr_expect_eq(masc_session_due(end->session), MASC_NEVER);
  MascLink link = masc_bed_call(end);
  masc_session_closed(end->session, link, masc_bed_now(bed));
  cr_expect_eq(masc_session_state(end->session), MASC_ACTIVE);
  cr_expect_eq(masc_session_due(end->session), MASC_NEVER);
  link = masc_bed_call(end);
  masc_bed_feed(end, link, MASC_BED_OPEN MASC_BED_KEEPALIVE);
  cr_expect(end->up);
  cr_expect_str_eq(masc_bed_said(end), "OPEN; OPEN; KEEPALIVE");
}

Test(rfc2909_12_1, a_passive_session_does_not_connect_later_either)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascSessionConfig config = masc_bed_config(MASC_PARENT);
  config.passive = true;
  MascEnd *end = masc_bed_alone(bed, &config);
  masc_session_start(end->session, S(20), masc_bed_now(bed));
  cr_expect_eq(masc_session_state(end->session), MASC_ACTIVE);
  cr_expect_eq(masc_session_due(end->session), MASC_NEVER);
}

Test(rfc2909_12_1, a_start_may_wait_with_connecting_and_listens_all_the_same)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascEnd *end = masc_bed_alone(bed, NULL);
  masc_session_start(end->session, S(20), masc_bed_now(bed));
  cr_expect_eq(masc_session_state(end->session), MASC_ACTIVE);
  masc_bed_pass(bed, S(20) - 1);
  cr_expect_str_eq(masc_bed_said(end), "");
  masc_bed_pass(bed, 1);
  cr_expect_str_eq(masc_bed_said(end), "connect");
  cr_expect_neq(masc_bed_call(end), 0);
}

/* Two connections beside each other: what ends one leaves the other, unless it was established. */
Test(rfc2909_10_1, a_parallel_connection_lives_on_its_own)
{
  static const struct {
    MascState first;
    const char *fed; /* to the second; NULL: it is closed */
    MascState to;
    const char *said;
  } rows[] = {
    { MASC_OPEN_SENT, NULL, MASC_OPEN_SENT, "OPEN" },
    { MASC_OPEN_SENT, MASC_BED_KEEPALIVE, MASC_OPEN_SENT, "OPEN; NOTIFICATION 5.1; close" },
    { MASC_OPEN_CONFIRM, NULL, MASC_OPEN_CONFIRM, "OPEN" },
    { MASC_OPEN_CONFIRM, MASC_BED_CEASE, MASC_OPEN_CONFIRM, "OPEN; NOTIFICATION 5.1; close" },
    { MASC_ESTABLISHED, NULL, MASC_ESTABLISHED, "OPEN" },
    { MASC_ESTABLISHED, "0003 01 00", MASC_ESTABLISHED, "OPEN; NOTIFICATION 1.1; close" },
    { MASC_CONNECT, NULL, MASC_CONNECT, "OPEN" },
    { MASC_CONNECT, MASC_BED_KEEPALIVE, MASC_IDLE, "OPEN; NOTIFICATION 5.1; close; close" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(MascBed) bed = masc_bed_new(1);
    MascEnd *end = masc_bed_alone(bed, NULL);
    masc_bed_reach(end, rows[i].first, MASC_BED_OPEN_NO_HOLD);
    MascLink second = masc_bed_call(end);
    cr_assert_neq(second, 0);
    if (rows[i].fed == NULL)
      masc_session_closed(end->session, second, masc_bed_now(bed));
    else
      masc_bed_feed(end, second, rows[i].fed);
    const char *said = masc_bed_said(end);
    cr_expect_eq(masc_session_state(end->session), rows[i].to, "row %zu", i);
    cr_expect_str_eq(said, rows[i].said, "row %zu: %s", i, said);
    masc_bed_check(bed);
    if (rows[i].to == MASC_CONNECT)
      cr_expect_leq(masc_session_due(end->session), bed->now + S(120), "ConnectRetry runs again");
  }
}

/* 8.8: with a Cease, when its OPEN comes. */
Test(rfc2909_8_8, one_beside_what_was_established_first_is_closed_by_its_open)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascEnd *end = masc_bed_alone(bed, NULL);
  MascLink first = masc_bed_reach(end, MASC_OPEN_CONFIRM, MASC_BED_OPEN_NO_HOLD);
  MascLink second = masc_bed_call(end);
  masc_bed_feed(end, first, MASC_BED_KEEPALIVE);
  cr_expect_eq(masc_session_state(end->session), MASC_ESTABLISHED);
  cr_expect_str_eq(masc_bed_said(end), "OPEN");
  cr_expect_eq(masc_bed_status(end).links, 2);
  masc_bed_feed(end, second, MASC_BED_OPEN_NO_HOLD);
  cr_expect_str_eq(masc_bed_said(end), "NOTIFICATION 7.0; close");
  cr_expect_eq(masc_session_state(end->session), MASC_ESTABLISHED);
  cr_expect_eq(masc_bed_status(end).links, 1);
}

/* Wherever it stands among them. */
Test(rfc2909_10_1, updates_leave_on_the_established_connection)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascEnd *end = masc_bed_alone(bed, NULL);
  MascClaim claim = masc_claim_make(MASC_NEW_CLAIM, "233.252.0.0/24", 962409600, 7);
  masc_bed_reach(end, MASC_CONNECT, "");
  MascLink link = masc_bed_call(end);
  masc_bed_feed(end, link, MASC_BED_OPEN_NO_HOLD MASC_BED_KEEPALIVE);
  cr_assert_neq(masc_bed_call(end), 0);
  cr_assert_eq(masc_bed_status(end).links, 2);
  cr_assert_neq(end->said_on, link, "the newcomer's OPEN");
  masc_bed_said(end);
  cr_expect(masc_session_send(end->session, &claim, 1, masc_bed_now(bed)));
  cr_expect_str_eq(masc_bed_said(end), "UPDATE 1");
  cr_expect_eq(end->said_on, link);
}

Test(rfc2909_10_1, the_loss_of_an_established_connection_ends_those_beside_it)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascEnd *end = masc_bed_alone(bed, NULL);
  MascLink first = masc_bed_reach(end, MASC_ESTABLISHED, MASC_BED_OPEN_NO_HOLD);
  MascLink second = masc_bed_call(end);
  masc_session_closed(end->session, first, masc_bed_now(bed));
  cr_expect_str_eq(masc_bed_said(end), "OPEN; NOTIFICATION 7.0; close");
  cr_expect_eq(masc_session_state(end->session), MASC_IDLE);
  masc_bed_feed(end, second, MASC_BED_OPEN);
  cr_expect_str_eq(masc_bed_said(end), "");
}

/* Without a Hold Timer, a peer that opens and never confirms would be waited for without end. */
Test(rfc2909_10_1, open_confirm_ends_without_a_hold_time_too)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascEnd *end = masc_bed_alone(bed, NULL);
  masc_bed_reach(end, MASC_OPEN_CONFIRM, MASC_BED_OPEN_NO_HOLD);
  masc_bed_pass(bed, S(240) - 1);
  cr_expect_eq(masc_session_state(end->session), MASC_OPEN_CONFIRM);
  masc_bed_pass(bed, 1);
  cr_expect_eq(masc_session_state(end->session), MASC_IDLE);
  cr_expect_str_eq(masc_bed_said(end), "NOTIFICATION 4.0; close");
}

Test(masc_session, what_cannot_be_said_at_first_ends_the_connection)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascEnd *end = masc_bed_alone(bed, NULL);
  MascLink link = masc_bed_reach(end, MASC_CONNECT, "");
  end->full = true;
  masc_session_connected(end->session, link, masc_bed_now(bed));
  cr_expect_eq(masc_session_state(end->session), MASC_IDLE);
  cr_expect_str_eq(masc_bed_said(end), "close");
}

Test(masc_session, configuration_counts_from_the_next_connection_on)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascEnd *end = masc_bed_alone(bed, NULL);
  MascLink link = masc_bed_reach(end, MASC_ESTABLISHED, MASC_BED_OPEN);
  MascSessionConfig config = masc_bed_config(MASC_PARENT);
  config.hold_time = 9;
  config.rule.peer_domain = 64503;
  masc_session_configure(end->session, &config);
  cr_expect(end->up);
  cr_expect_eq(masc_bed_status(end).hold_time, 240);
  masc_session_closed(end->session, link, masc_bed_now(bed));
  masc_bed_pass(bed, S(60));
  masc_session_connected(end->session, end->connecting, masc_bed_now(bed));
  masc_bed_feed(end, end->connecting, MASC_BED_OPEN);
  cr_expect_str_eq(masc_bed_said(end), "connect; OPEN; NOTIFICATION 2.2; close");
}

Test(masc_session, a_hold_time_of_one_or_two_seconds_is_three)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascSessionConfig config = masc_bed_config(MASC_PARENT);
  config.hold_time = 1;
  MascEnd *end = masc_bed_alone(bed, &config);
  masc_bed_reach(end, MASC_ESTABLISHED, MASC_BED_OPEN);
  cr_expect_eq(masc_bed_status(end).hold_time, 3);
}

Test(masc_session, names)
{
  cr_expect_str_eq(masc_state_name(MASC_OPEN_CONFIRM), "OpenConfirm");
  cr_expect_str_eq(masc_state_name(MASC_N_STATES), "unknown");
  for (unsigned i = 0; i < MASC_N_DOWNS; i++)
    cr_expect_str_neq(masc_down_name(i), "unknown");
  cr_expect_str_eq(masc_down_name(MASC_N_DOWNS), "unknown");
}
