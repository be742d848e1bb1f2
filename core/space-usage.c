/* What of a span is in use by anybody in the domain, as far as known: for layer 3, which foresees
   what will be wanted (RFC 2908; RFC 2909 Appendix A). */
#include "space-internal.h"

typedef struct {
  MalSpan span;
  uint64_t used;
  MalTime until;
} Piece;

typedef struct {
  MalSpan within;
  GArray *pieces;
} Pieces;

static uint64_t at_most_all(uint64_t used, MalSpan span)
{
  MalU128 size = mal_span_size(span);
  return used < size ? used : (uint64_t)size;
}

/* SPAN is what is left of PIECE: full ones stay full. */
static void cut(Piece *piece, MalSpan span)
{
  bool full = piece->used >= mal_span_size(piece->span);
  piece->span = span;
  piece->used = full ? (uint64_t)mal_span_size(span) : at_most_all(piece->used, span);
}

static void collect(MalSpan span, uint64_t used, MalTime until, void *data)
{
  Pieces *p = data;
  Piece piece = { span, at_most_all(used, span), until };
  MalSpan part;
  if (used == 0 || !mal_span_intersect(span, p->within, &part))
    return;
  cut(&piece, part);
  g_array_append_val(p->pieces, piece);
}

static int by_first(const void *a, const void *b)
{
  return mal_address_compare(((const Piece *)a)->span.first, ((const Piece *)b)->span.first);
}

/* What was said of an address first (in address order) holds, for as long as anybody said. */
static void say(const GArray *pieces, MalUsageFunc func, void *data)
{
  for (unsigned i = 0; i < pieces->len;) {
    Piece now = g_array_index(pieces, Piece, i);
    for (i++; i < pieces->len; i++) {
      Piece *next = &g_array_index(pieces, Piece, i);
      MalAddress behind;
      if (mal_address_compare(next->span.first, now.span.last) > 0)
        break;
      now.until = MAX(now.until, next->until);
      if (mal_address_compare(next->span.last, now.span.last) <= 0)
        continue;
      mal_address_add(now.span.last, 1, &behind);
      cut(next, (MalSpan){ behind, next->span.last });
      break;
    }
    func(now.span, now.used, now.until, data);
  }
}

void mal_space_usage(MalSpace *space, const MalScope *scope, MalSpan span, MalUsageFunc func,
                     void *data)
{
  g_autoptr(GArray) pieces = g_array_new(FALSE, FALSE, sizeof(Piece));
  Pieces all = { span, pieces };
  if (space->usage)
    space->usage(scope, span, collect, &all, space->usage_data);
  if (space->lease_usage)
    space->lease_usage(scope, span, !space->usage, collect, &all, space->lease_usage_data);
  g_array_sort(pieces, by_first);
  say(pieces, func, data);
}

void mal_space_set_usage(MalSpace *space, MalUsage func, void *data)
{
  space->usage = func;
  space->usage_data = data;
}

void mal_space_on_usage(MalSpace *space, MalLeaseUsage func, void *data)
{
  space->lease_usage = func;
  space->lease_usage_data = data;
}
