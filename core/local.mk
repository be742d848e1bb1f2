# The core: one convenience library with everything (tests link it, so that they reach what is hidden),
# and the shared library made from it, which programs and plugins use. It exports what MAL_API marks.

# Headers a plugin author needs, installed in $(includedir)/mallocd. One line each.
core_headers =
core_headers += core/address.h
core_headers += core/api.h
core_headers += core/conf.h
core_headers += core/control.h
core_headers += core/events.h
core_headers += core/hash.h
core_headers += core/leases.h
core_headers += core/metrics.h
core_headers += core/model.h
core_headers += core/plugin.h
core_headers += core/space.h
core_headers += core/store.h
core_headers += core/runtime.h
core_headers += core/shed.h
core_headers += core/wire.h

# The daemon's own.
core_private_headers =
core_private_headers += core/allocator-index.h
core_private_headers += core/allocator-private.h
core_private_headers += core/allocator.h
core_private_headers += core/conf-doc.h
core_private_headers += core/conf-internal.h
core_private_headers += core/core-internal.h
core_private_headers += core/core.h
core_private_headers += core/methods.h
core_private_headers += core/control-core.h
core_private_headers += core/control-socket.h
core_private_headers += core/ctl.h
core_private_headers += core/daemon.h
core_private_headers += core/events-line.h
core_private_headers += core/leases-core.h
core_private_headers += core/leases-internal.h
core_private_headers += core/plugins.h
core_private_headers += core/runtime-glib-private.h
core_private_headers += core/runtime-glib.h
core_private_headers += core/space-internal.h
core_private_headers += core/short-time.h
core_private_headers += core/store-private.h
core_private_headers += core/store-sqlite-latest.h
core_private_headers += core/store-sqlite.h

core_sources =
core_sources += core/address-text.c
core_sources += core/address.c
core_sources += core/allocator-index.c
core_sources += core/allocator-index-check.c
core_sources += core/allocator-pauses.c
core_sources += core/allocator-ranges.c
core_sources += core/allocator-report.c
core_sources += core/allocator-search.c
core_sources += core/allocator-time.c
core_sources += core/allocator.c
core_sources += core/conf-access.c
core_sources += core/conf-core.c
core_sources += core/conf-doc.c
core_sources += core/conf-nearest.c
core_sources += core/conf-roff.c
core_sources += core/conf-scan.c
core_sources += core/conf-value.c
core_sources += core/conf.c
core_sources += core/core-hand.c
core_sources += core/core-news.c
core_sources += core/core-reload.c
core_sources += core/core.c
core_sources += core/methods-model.c
core_sources += core/methods-lease.c
core_sources += core/methods-daemon.c
core_sources += core/control.c
core_sources += core/control-socket-listen.c
core_sources += core/control-socket.c
core_sources += core/ctl-args.c
core_sources += core/ctl-direct.c
core_sources += core/ctl-main.c
core_sources += core/ctl-map.c
core_sources += core/ctl-rpc.c
core_sources += core/ctl-show.c
core_sources += core/ctl-views.c
core_sources += core/daemon.c
core_sources += core/error.c
core_sources += core/events-line.c
core_sources += core/events.c
core_sources += core/hash.c
core_sources += core/leases-ask.c
core_sources += core/leases-commit.c
core_sources += core/leases-end.c
core_sources += core/leases-layer2.c
core_sources += core/leases-plan.c
core_sources += core/leases-reserve.c
core_sources += core/leases-table.c
core_sources += core/leases-time.c
core_sources += core/leases-wait.c
core_sources += core/leases.c
core_sources += core/metrics.c
core_sources += core/plan.c
core_sources += core/plugins.c
core_sources += core/runtime-glib-net.c
core_sources += core/runtime-glib-shed.c
core_sources += core/runtime-glib-socket.c
core_sources += core/runtime-glib-stream.c
core_sources += core/runtime-glib-udp.c
core_sources += core/runtime-glib-worker.c
core_sources += core/runtime-glib.c
core_sources += core/runtime.c
core_sources += core/scope.c
core_sources += core/space-demand.c
core_sources += core/space.c
core_sources += core/store-memory.c
core_sources += core/store-records.c
core_sources += core/store-sqlite-compact.c
core_sources += core/store-sqlite-encode.c
core_sources += core/store-sqlite-file.c
core_sources += core/store-sqlite-latest.c
core_sources += core/store-sqlite-load.c
core_sources += core/store-sqlite-task.c
core_sources += core/store-sqlite-write.c
core_sources += core/store-sqlite.c
core_sources += core/store.c
core_sources += core/time-text.c
core_sources += core/wire.c

pkginclude_HEADERS = $(core_headers)

noinst_LTLIBRARIES += core/libmallocd-all.la
core_libmallocd_all_la_SOURCES = $(core_sources) $(core_headers) $(core_private_headers)
core_libmallocd_all_la_LIBADD = $(DEPS_LIBS)

pkglib_LTLIBRARIES += core/libmallocd-core.la
core_libmallocd_core_la_SOURCES =
core_libmallocd_core_la_LIBADD = core/libmallocd-all.la $(DEPS_LIBS)
core_libmallocd_core_la_LDFLAGS = $(AM_LDFLAGS) $(DEFS_LDFLAGS) -avoid-version -no-undefined

# The programs. sd_notify is the daemon's alone.
sbin_PROGRAMS += mallocd
mallocd_SOURCES =
mallocd_SOURCES += core/mallocd-main.c
mallocd_CFLAGS = $(AM_CFLAGS) $(PIE_CFLAGS) $(SYSTEMD_CFLAGS)
mallocd_LDFLAGS = $(AM_LDFLAGS) $(PIE_LDFLAGS)
mallocd_LDADD = core/libmallocd-core.la $(DEPS_LIBS) $(SYSTEMD_LIBS)

bin_PROGRAMS += mallocctl
mallocctl_SOURCES =
mallocctl_SOURCES += core/mallocctl-main.c
mallocctl_CFLAGS = $(AM_CFLAGS) $(PIE_CFLAGS)
mallocctl_LDFLAGS = $(AM_LDFLAGS) $(PIE_LDFLAGS)
mallocctl_LDADD = core/libmallocd-core.la $(DEPS_LIBS)

# Makes manual pages from the tables; doc/local.mk runs it.
noinst_PROGRAMS += core/mal-docgen
core_mal_docgen_SOURCES = core/mal-docgen.c core/conf-roff.c
core_mal_docgen_CFLAGS = $(AM_CFLAGS)
core_mal_docgen_LDFLAGS = $(AM_LDFLAGS) -no-install
core_mal_docgen_LDADD = core/libmallocd-core.la $(DEPS_LIBS)
