# AAP: a convenience library (for tests, fuzz targets and the simulator).

aap_sources =
aap_sources += plugins/aap/aap-ana.c
aap_sources += plugins/aap/aap-asa.c
aap_sources += plugins/aap/aap-asa.h
aap_sources += plugins/aap/aap-asrp.c
aap_sources += plugins/aap/aap-coordinator.c
aap_sources += plugins/aap/aap-auth.c
aap_sources += plugins/aap/aap-auth.h
aap_sources += plugins/aap/aap-keys.c
aap_sources += plugins/aap/aap-keys.h
aap_sources += plugins/aap/aap-ranges.c
aap_sources += plugins/aap/aap-ranges.h
aap_sources += plugins/aap/aap-requests.c
aap_sources += plugins/aap/aap-scope.c
aap_sources += plugins/aap/aap-scope.h
aap_sources += plugins/aap/aap-seq.c
aap_sources += plugins/aap/aap-seq.h
aap_sources += plugins/aap/aap-time.c
aap_sources += plugins/aap/aap-time.h
aap_sources += plugins/aap/aap-wire.h
aap_sources += plugins/aap/aap-wire-decode.c
aap_sources += plugins/aap/aap-wire-describe.c
aap_sources += plugins/aap/aap-wire-encode.c
aap_sources += plugins/aap/aap-coordinator.h
aap_sources += plugins/aap/aap-intervals.c
aap_sources += plugins/aap/aap-intervals.h
aap_sources += plugins/aap/aap-params.h
aap_sources += plugins/aap/aap-record.h
aap_sources += plugins/aap/aap-sequence.c
aap_sources += plugins/aap/aap-zone.c
aap_sources += plugins/aap/aap-zone-look.c
aap_sources += plugins/aap/aap-zone.h
aap_sources += plugins/aap/aap-zone-private.h

noinst_LTLIBRARIES += plugins/aap/libaap.la
plugins_aap_libaap_la_SOURCES = $(aap_sources)
