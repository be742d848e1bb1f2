/* The records that a store keeps in memory, for plugins that start again while it writes. */
#include "core/store.h"
#include "tests/support/fake-runtime.h"

#include <criterion/criterion.h>
#include <string.h>

static MalRecord record(const char *owner, const char *kind, const char *key, const char *value)
{
  return (MalRecord){ owner, kind, (const uint8_t *)key, strlen(key), (const uint8_t *)value,
                      value ? strlen(value) : 0 };
}

static void put(MalStore *store, const char *owner, const char *key, const char *value)
{
  MalRecord r = record(owner, "kind", key, value);
  mal_store_put_record(store, &r);
}

static void drop(MalStore *store, const char *owner, const char *key)
{
  mal_store_drop_record(store, owner, "kind", (const uint8_t *)key, strlen(key));
}

static bool list(const MalRecord *r, void *data, GError **error)
{
  (void)error;
  cr_assert_str_eq(r->kind, "kind");
  g_string_append_printf(data, "%.*s=%.*s ", (int)r->key_length, (const char *)r->key,
                         (int)r->value_length, (const char *)r->value);
  return true;
}

#define assert_records(store, owner, text)                                                         \
  do {                                                                                             \
    g_autoptr(GString) all = g_string_new(NULL);                                                   \
    cr_assert(mal_store_each_record((store), (owner), list, all, NULL));                           \
    cr_assert_str_eq(all->str, (text));                                                            \
  } while (0)

Test(store_records, are_there_before_and_after_they_are_durable)
{
  g_autoptr(FakeRuntime) fake = fake_runtime_new();
  MalStore *store = mal_store_memory_new(fake_runtime(fake));

  assert_records(store, "a", "");
  put(store, "a", "one", "1");
  put(store, "b", "one", "b");
  put(store, "a", "two", "2");
  assert_records(store, "a", "one=1 two=2 ");
  fake_run(fake);
  put(store, "a", "one", "11");
  drop(store, "a", "two");
  drop(store, "a", "never there");
  assert_records(store, "a", "one=11 ");
  fake_run(fake);
  assert_records(store, "a", "one=11 ");
  assert_records(store, "b", "one=b ");
  put(store, "a", "two", "");
  assert_records(store, "a", "one=11 two= ");
  mal_store_close(store);
}

static bool has_octets(const MalRecord *r, void *data, GError **error)
{
  (void)data, (void)error;
  return r->key && r->value;
}

Test(store_records, no_octets_at_all_are_not_null)
{
  g_autoptr(FakeRuntime) fake = fake_runtime_new();
  MalStore *store = mal_store_memory_new(fake_runtime(fake));

  put(store, "a", "", "");
  cr_assert(mal_store_each_record(store, "a", has_octets, NULL, NULL));
  fake_run(fake);
  cr_assert(mal_store_each_record(store, "a", has_octets, NULL, NULL));
  mal_store_close(store);
}

/* A batch that fails takes its changes with it. */
Test(store_records, what_fails_does_not_count)
{
  g_autoptr(FakeRuntime) fake = fake_runtime_new();
  MalStore *store = mal_store_memory_new(fake_runtime(fake));

  put(store, "a", "kept", "1");
  put(store, "a", "dropped", "1");
  fake_run(fake);
  mal_store_memory_fail(store, "full");
  put(store, "a", "kept", "2");
  drop(store, "a", "dropped");
  put(store, "a", "new", "1");
  fake_run(fake);
  mal_store_memory_fail(store, NULL);
  fake_run(fake);
  put(store, "a", "kept", "3");
  fake_run(fake);
  assert_records(store, "a", "dropped=1 kept=3 ");
  mal_store_close(store);
}

static bool drop_all(const MalRecord *r, void *data, GError **error)
{
  (void)error;
  mal_store_drop_record(data, r->owner, r->kind, r->key, r->key_length);
  return true;
}

static bool refuse(const MalRecord *r, void *data, GError **error)
{
  (void)r, ++*(int *)data;
  g_set_error_literal(error, MAL_ERROR, MAL_ERROR_STORE, "no");
  return false;
}

Test(store_records, a_callback_may_change_them_or_stop)
{
  g_autoptr(FakeRuntime) fake = fake_runtime_new();
  g_autoptr(GError) error = NULL;
  MalStore *store = mal_store_memory_new(fake_runtime(fake));
  int told = 0;

  for (char key[] = "a"; *key < 'z'; ++*key)
    put(store, "a", key, "1");
  cr_assert_not(mal_store_each_record(store, "a", refuse, &told, &error));
  cr_assert_eq(told, 1);
  cr_assert_str_eq(error->message, "no");
  cr_assert(mal_store_each_record(store, "a", drop_all, store, NULL));
  assert_records(store, "a", "");
  fake_run(fake);
  assert_records(store, "a", "");
  mal_store_close(store);
}
