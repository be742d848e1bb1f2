# The exporter for BIRD: a convenience library for the tests and the module around it, which exports
# nothing but its descriptor.

bird_sources =
bird_sources += plugins/bird/bird.c
bird_sources += plugins/bird/bird-file.c
bird_sources += plugins/bird/bird-file.h
bird_sources += plugins/bird/bird-plugin.c
bird_sources += plugins/bird/bird-plugin.h
bird_sources += plugins/bird/bird-sync.c
bird_sources += plugins/bird/bird-sync.h
bird_sources += plugins/bird/bird-tables.c
bird_sources += plugins/bird/bird-tables.h
bird_sources += plugins/bird/bird-wire.c
bird_sources += plugins/bird/bird-wire.h

noinst_LTLIBRARIES += plugins/bird/libbird.la
plugins_bird_libbird_la_SOURCES = $(bird_sources)

plugin_LTLIBRARIES += plugins/bird/bird.la
plugins_bird_bird_la_SOURCES =
plugins_bird_bird_la_LIBADD = plugins/bird/libbird.la core/libmallocd-core.la $(DEPS_LIBS)
plugins_bird_bird_la_LDFLAGS = $(AM_LDFLAGS) $(DEFS_LDFLAGS) -module -avoid-version -shared \
  -export-symbols-regex '^mal_plugin$$'
