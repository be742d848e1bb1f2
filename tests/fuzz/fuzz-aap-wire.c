/* The AAP codec: any octets decode to a message or to one fault. What decodes is written again as
   the same octets, its union is in order, and its scope is decided, whatever it says.
   Covers: plugins/aap/aap-wire*.c plugins/aap/aap-ranges.c plugins/aap/aap-scope.c */
#include "plugins/aap/aap-ranges.h"
#include "plugins/aap/aap-scope.h"
#include "plugins/aap/aap-time.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_union(AapScratch *scratch, size_t n)
{
  g_autofree AapRange *out = g_new(AapRange, 2 * n + 1);
  size_t pieces = aap_ranges_unite(scratch->ranges, n, out);
  if (pieces > 2 * n)
    abort();
  for (size_t i = 0; i < pieces; i++) {
    if (mal_address_compare(out[i].span.first, out[i].span.last) > 0)
      abort();
    if (i > 0 && mal_address_compare(out[i - 1].span.last, out[i].span.first) >= 0)
      abort();
  }
  if (!aap_ranges_same_addresses(out, pieces, out, pieces))
    abort();
  aap_in_use_to_wire(aap_ranges_addresses(out, pieces));
}

static void check_requests(AapScratch *scratch, size_t n)
{
  size_t kept = aap_requests_combine(scratch->requests, n, 3);
  if (kept > 3 || kept > n)
    abort();
}

static MalSpan span(uint32_t first, uint32_t last)
{
  return (MalSpan){ mal_address_ipv4(first), mal_address_ipv4(last) };
}

static void check_scope(const AapMessage *msg)
{
  const MalScope scopes[] = {
    { .id = (char *)"global", .span = span(0xE0000100u, 0xEEFFFFFFu), .divisible = true },
    { .id = (char *)"local", .span = span(0xEFFF0000u, 0xEFFFFFFFu) },
    { .id = (char *)"allocation", .span = span(0xEFFB0000u, 0xEFFBFFFFu) },
  };
  AapGroupRule rule = { .offset4 = AAP_OFFSET4 };
  AapPlace places[G_N_ELEMENTS(scopes)];
  for (size_t i = 0; i < G_N_ELEMENTS(scopes); i++)
    if (!aap_scope_place(&scopes[i], &scopes[2], &rule, &places[i]))
      abort();
  for (size_t i = 0; i < G_N_ELEMENTS(scopes); i++) {
    AapScopeDecision d = aap_scope_decide(places, G_N_ELEMENTS(places), places[i].group, msg);
    if ((d.verdict == AAP_SCOPE_ONE) != (d.place != NULL))
      abort();
    for (size_t r = 0; d.place != NULL && r < msg->n_ranges; r++)
      if (!mal_span_contains(d.place->scope->span, msg->ranges[r].span))
        abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autofree AapScratch *scratch = g_new(AapScratch, 1);
  g_autofree uint8_t *out = g_malloc(size + 1);
  char text[AAP_DESCRIPTION_SIZE];
  AapMessage msg;
  AapFault fault;
  bool ok = aap_decode(data, size, scratch, &msg, &fault);
  aap_describe(&msg, text, sizeof text);
  if (ok != (fault.reason == AAP_REASON_NONE) || fault.offset > size)
    abort();
  if (!ok)
    return 0;
  if (aap_encoded_length(&msg) != size || aap_encode(&msg, out, size, NULL) != size ||
      memcmp(out, data, size) != 0)
    abort();
  check_scope(&msg);
  for (size_t i = 0; i < msg.n_ranges; i++)
    aap_time_adjust(msg.ranges[i].value, aap_time_delta(962409600, msg.current_time));
  check_union(scratch, msg.n_ranges);
  check_requests(scratch, msg.n_requests);
  return 0;
}
