# MADCAP: a convenience library (for tests, fuzz targets and the simulator) and the module around it,
# which exports nothing but its descriptor.

madcap_sources =
madcap_sources += plugins/madcap/madcap.c
madcap_sources += plugins/madcap/madcap-client.c
madcap_sources += plugins/madcap/madcap-client.h
madcap_sources += plugins/madcap/madcap-client-held.c
madcap_sources += plugins/madcap/madcap-client-held.h
madcap_sources += plugins/madcap/madcap-client-message.c
madcap_sources += plugins/madcap/madcap-client-private.h
madcap_sources += plugins/madcap/madcap-client-reply.c
madcap_sources += plugins/madcap/madcap-groups.c
madcap_sources += plugins/madcap/madcap-groups.h
madcap_sources += plugins/madcap/madcap-plugin.h
madcap_sources += plugins/madcap/madcap-plugin-client.c
madcap_sources += plugins/madcap/madcap-plugin-client.h
madcap_sources += plugins/madcap/madcap-plugin-client-errand.c
madcap_sources += plugins/madcap/madcap-plugin-client-held.c
madcap_sources += plugins/madcap/madcap-plugin-client-lease.c
madcap_sources += plugins/madcap/madcap-plugin-client-scopes.c
madcap_sources += plugins/madcap/madcap-plugin-later.c
madcap_sources += plugins/madcap/madcap-plugin-later.h
madcap_sources += plugins/madcap/madcap-plugin-links.c
madcap_sources += plugins/madcap/madcap-plugin-links.h
madcap_sources += plugins/madcap/madcap-plugin-overload.c
madcap_sources += plugins/madcap/madcap-plugin-overload.h
madcap_sources += plugins/madcap/madcap-plugin-server.c
madcap_sources += plugins/madcap/madcap-server.c
madcap_sources += plugins/madcap/madcap-server.h
madcap_sources += plugins/madcap/madcap-server-ask.c
madcap_sources += plugins/madcap/madcap-server-cache.c
madcap_sources += plugins/madcap/madcap-server-cache.h
madcap_sources += plugins/madcap/madcap-server-lease.c
madcap_sources += plugins/madcap/madcap-server-private.h
madcap_sources += plugins/madcap/madcap-server-rate.c
madcap_sources += plugins/madcap/madcap-server-rate.h
madcap_sources += plugins/madcap/madcap-server-reply.c
madcap_sources += plugins/madcap/madcap-server-scope.c
madcap_sources += plugins/madcap/madcap-shed.c
madcap_sources += plugins/madcap/madcap-shed.h
madcap_sources += plugins/madcap/madcap-tables.c
madcap_sources += plugins/madcap/madcap-tables.h
madcap_sources += plugins/madcap/madcap-wire.h
madcap_sources += plugins/madcap/madcap-wire-tables.c
madcap_sources += plugins/madcap/madcap-wire-lists.c
madcap_sources += plugins/madcap/madcap-wire-decode.c
madcap_sources += plugins/madcap/madcap-wire-encode.c
madcap_sources += plugins/madcap/madcap-wire-describe.c

noinst_LTLIBRARIES += plugins/madcap/libmadcap.la
plugins_madcap_libmadcap_la_SOURCES = $(madcap_sources)

plugin_LTLIBRARIES += plugins/madcap/madcap.la
plugins_madcap_madcap_la_SOURCES =
plugins_madcap_madcap_la_LIBADD = plugins/madcap/libmadcap.la core/libmallocd-core.la $(DEPS_LIBS)
plugins_madcap_madcap_la_LDFLAGS = $(AM_LDFLAGS) $(DEFS_LDFLAGS) -module -avoid-version -shared \
  -export-symbols-regex '^mal_plugin$$'
