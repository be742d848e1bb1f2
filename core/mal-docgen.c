/* Makes the manual from the tables: mallocd.conf(5) at build time, the reference and the JSON
   schema for whoever asks.

       mal-docgen roff TEMPLATE [PLUGIN.so ...]
       mal-docgen text|json-schema [PLUGIN.so ...]

   In a template, a line that is @CONFIGURATION@, @EVENTS@, @COUNTERS@ or @METHODS@ gives way to
   what the tables say. Not installed. */
#include <gmodule.h>
#include <stdio.h>
#include <string.h>

#include "conf-doc.h"
#include "plugin.h"

typedef struct {
  MalConfSchema *schema;
  GPtrArray *plugins;         /* const MalPlugin * */
} Tables;

/* ---- what the plugins' tables say ------------------------------------------------------------ */

static void entry(GString *out, const char *owner, const char *name, const char *remark,
                  const char *help)
{
  g_string_append(out, ".TP\n\\fB");
  if (owner) {
    mal_doc_roff(out, owner);
    g_string_append_c(out, '.');
  }
  mal_doc_roff(out, name);
  g_string_append(out, "\\fR (");
  mal_doc_roff(out, remark);
  g_string_append(out, ")\n");
  mal_doc_roff_sentences(out, help && *help ? help : "Not described.");
}

static void events(GString *out, const MalPlugin *p)
{
  for (size_t i = 0; i < p->n_events; i++) {
    const MalEventDef *e = p->events[i];
    g_autofree char *remark = e->fault == MAL_FAULT_NOBODY
                                ? g_strdup(mal_log_level_name(e->level))
                                : g_strdup_printf("%s, fault: %s", mal_log_level_name(e->level),
                                                  mal_fault_name(e->fault));
    entry(out, NULL, e->name, remark, e->help);
  }
}

static void counters(GString *out, const MalPlugin *p)
{
  for (size_t i = 0; i < p->n_metrics; i++)
    entry(out, p->name, p->metrics[i].name, p->metrics[i].kind == MAL_COUNTER ? "counter" : "gauge",
          p->metrics[i].help);
}

static void parameters(GString *out, const MalMethod *m)
{
  if (m->n_params == 0)
    return;
  g_string_append(out, ".RS\n");
  for (size_t i = 0; i < m->n_params; i++) {
    g_string_append(out, ".TP\n\\fI");
    mal_doc_roff(out, m->params[i].name);
    g_string_append(out, m->params[i].required ? "\\fR (required)\n" : "\\fR\n");
    mal_doc_roff_sentences(out, m->params[i].help && *m->params[i].help ? m->params[i].help
                                                                        : "Not described.");
  }
  g_string_append(out, ".RE\n");
}

static void methods(GString *out, const MalPlugin *p)
{
  for (size_t i = 0; i < p->n_methods; i++) {
    entry(out, NULL, p->methods[i].name,
          p->methods[i].access == MAL_ACCESS_READ ? "reads" : "changes", p->methods[i].help);
    parameters(out, &p->methods[i]);
  }
}

static void each_plugin(GString *out, const Tables *t,
                        void (*section)(GString *out, const MalPlugin *p))
{
  gsize before = out->len;
  for (guint i = 0; i < t->plugins->len; i++)
    section(out, t->plugins->pdata[i]);
  if (out->len == before)
    g_string_append(out, "None.\n");
}

/* ---- template -------------------------------------------------------------------------------- */

static void configuration(GString *out, const Tables *t)
{
  g_autofree char *roff = mal_conf_schema_render(t->schema, MAL_DOC_ROFF);
  g_string_append(out, roff);
}

static void fill_line(GString *out, const Tables *t, const char *line)
{
  if (strcmp(line, "@CONFIGURATION@") == 0)
    configuration(out, t);
  else if (strcmp(line, "@EVENTS@") == 0)
    each_plugin(out, t, events);
  else if (strcmp(line, "@COUNTERS@") == 0)
    each_plugin(out, t, counters);
  else if (strcmp(line, "@METHODS@") == 0)
    each_plugin(out, t, methods);
  else
    g_string_append_printf(out, "%s\n", line);
}

static char *fill_template(const Tables *t, const char *path, GError **error)
{
  g_autofree char *text = NULL;
  if (!g_file_get_contents(path, &text, NULL, error))
    return NULL;
  g_auto(GStrv) lines = g_strsplit(g_strchomp(text), "\n", -1);
  GString *out = g_string_new(NULL);
  for (char **l = lines; *l; l++)
    fill_line(out, t, *l);
  return g_string_free(out, FALSE);
}

/* ---- plugins --------------------------------------------------------------------------------- */

static bool add_plugin(Tables *t, const char *path, GError **error)
{
  GModule *module = g_module_open(path, G_MODULE_BIND_LOCAL | G_MODULE_BIND_LAZY);
  gpointer symbol = NULL;
  if (!module || !g_module_symbol(module, MAL_PLUGIN_SYMBOL, &symbol) || !symbol) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_PLUGIN, "%s: %s", path, g_module_error());
    return false;
  }
  g_module_make_resident(module);
  const MalPlugin *p = symbol;
  if (p->abi != MAL_PLUGIN_ABI) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_PLUGIN, "%s: ABI %u, not %u", path, p->abi,
                MAL_PLUGIN_ABI);
    return false;
  }
  g_ptr_array_add(t->plugins, symbol);
  mal_conf_schema_add(t->schema, p->groups, p->n_groups, p->name);
  return true;
}

static char *generate(Tables *t, char **args, GError **error)
{
  const char *form = args[0], *template = NULL;
  char **plugin = args + 1;
  if (strcmp(form, "roff") == 0)
    template = *plugin++;
  for (; *plugin; plugin++)
    if (!add_plugin(t, *plugin, error))
      return NULL;
  if (template)
    return fill_template(t, template, error);
  return mal_conf_schema_render(t->schema,
                                strcmp(form, "text") == 0 ? MAL_DOC_TEXT : MAL_DOC_JSON_SCHEMA);
}

static bool usage_is_right(int argc, char **argv)
{
  if (argc < 2)
    return false;
  if (strcmp(argv[1], "roff") == 0)
    return argc >= 3;
  return strcmp(argv[1], "text") == 0 || strcmp(argv[1], "json-schema") == 0;
}

int main(int argc, char **argv)
{
  if (!usage_is_right(argc, argv)) {
    fputs("usage: mal-docgen roff TEMPLATE [PLUGIN.so ...]\n"
          "       mal-docgen text|json-schema [PLUGIN.so ...]\n", stderr);
    return 2;
  }
  Tables t = { mal_conf_schema_new(), g_ptr_array_new() };
  g_autoptr(GError) error = NULL;
  g_autofree char *text = generate(&t, argv + 1, &error);
  if (error)
    fprintf(stderr, "mal-docgen: %s\n", error->message);
  else if (text)
    fputs(text, stdout);
  g_ptr_array_unref(t.plugins);
  mal_conf_schema_free(t.schema);
  return !text || fflush(stdout) != 0 ? 1 : 0;
}
