# MASC: a convenience library (for tests, fuzz targets and the simulator).

masc_sources =
masc_sources += plugins/masc/masc-cache.h
masc_sources += plugins/masc/masc-compare.c
masc_sources += plugins/masc/masc-compare.h
masc_sources += plugins/masc/masc-limits.c
masc_sources += plugins/masc/masc-limits.h
masc_sources += plugins/masc/masc-open.c
masc_sources += plugins/masc/masc-open.h
masc_sources += plugins/masc/masc-params.c
masc_sources += plugins/masc/masc-params.h
masc_sources += plugins/masc/masc-plan.h
masc_sources += plugins/masc/masc-session.c
masc_sources += plugins/masc/masc-session.h
masc_sources += plugins/masc/masc-session-fsm.c
masc_sources += plugins/masc/masc-session-link.c
masc_sources += plugins/masc/masc-session-private.h
masc_sources += plugins/masc/masc-wire.h
masc_sources += plugins/masc/masc-wire-decode.c
masc_sources += plugins/masc/masc-wire-describe.c
masc_sources += plugins/masc/masc-wire-encode.c
masc_sources += plugins/masc/masc-wire-frame.c
masc_sources += plugins/masc/masc-wire-tables.c
masc_sources += plugins/masc/masc-zone.h
masc_sources += plugins/masc/masc-zone-private.h

noinst_LTLIBRARIES += plugins/masc/libmasc.la
plugins_masc_libmasc_la_SOURCES = $(masc_sources)
