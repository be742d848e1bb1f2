/* All leases, page by page. */
#include <config.h>

#include "address.h"
#include "ctl.h"

#define PAGE 1000

static MalAddress first_address(json_object *lease)
{
  MalSpan span = { mal_address_none(), mal_address_none() };
  json_object *list = mal_ctl_member(lease, "addresses");
  if (json_object_is_type(list, json_type_array) && mal_ctl_length(list) > 0) {
    const char *text = json_object_get_string(json_object_array_get_idx(list, 0));
    if (text)
      mal_span_parse(text, &span, NULL);
  }
  return span.first;
}

static int by_address(const void *a, const void *b)
{
  return mal_address_compare(first_address(*(json_object *const *)a),
                             first_address(*(json_object *const *)b));
}

/* Appends PAGE's leases to ALL; *NEXT is the cursor, or 0. */
static bool add_page(json_object *all, json_object *page, int64_t *next, GError **error)
{
  json_object *from = mal_ctl_member(page, "leases"), *to = mal_ctl_member(all, "leases");
  if (!json_object_is_type(from, json_type_array)) {
    g_set_error(error, MAL_CTL_ERROR, MAL_CTL_FAILED, "the daemon's list of leases can't be read");
    return false;
  }
  for (size_t i = 0; from != to && i < mal_ctl_length(from); i++)
    json_object_array_add(to, json_object_get(json_object_array_get_idx(from, i)));
  *next = mal_ctl_number(page, "next");
  json_object_object_add(all, "next", json_object_get(mal_ctl_member(page, "next")));
  return true;
}

json_object *mal_ctl_all_leases(MalCtlLink *link, const char *method, json_object *params,
                                int64_t limit, GError **error)
{
  json_object *all = NULL;
  for (int64_t next = 0, got = 0; got < limit;) {
    json_object_object_add(params, "limit", json_object_new_int64(MIN(limit - got, PAGE)));
    if (next)
      json_object_object_add(params, "cursor", json_object_new_int64(next));
    json_object *page = link->call(link, method, params, error);
    if (page && !all)
      all = json_object_get(page);
    bool good = page && add_page(all, page, &next, error);
    json_object_put(page);
    if (!good) {
      json_object_put(all);
      return NULL;
    }
    got = (int64_t)mal_ctl_length(mal_ctl_member(all, "leases"));
    if (!next)
      break;
  }
  json_object_array_sort(mal_ctl_member(all, "leases"), by_address);
  return all;
}
