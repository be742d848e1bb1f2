# Manual pages: dist_man_MANS += doc/X.8
dist_man_MANS += doc/mallocd.8
dist_man_MANS += doc/mallocctl.1

# What the tables of the core and of the plugins say, in a frame written by hand.
man_MANS = doc/mallocd.conf.5
CLEANFILES += doc/mallocd.conf.5
EXTRA_DIST += doc/mallocd.conf.5.in
doc/mallocd.conf.5: $(srcdir)/doc/mallocd.conf.5.in core/mal-docgen$(EXEEXT) $(plugin_LTLIBRARIES)
	$(AM_V_GEN)$(MKDIR_P) $(@D) && modules= && for m in $(plugin_LTLIBRARIES:.la=); do \
	  modules="$$modules ./`dirname $$m`/.libs/`basename $$m`.so"; done && \
	core/mal-docgen$(EXEEXT) roff $(srcdir)/doc/mallocd.conf.5.in $$modules >$@.fill && \
	$(SED) 's|@sysconfdir[@]|$(sysconfdir)|g' $@.fill >$@.new && rm -f $@.fill && mv $@.new $@
dist_doc_DATA += doc/aap-authentication.md
dist_doc_DATA += doc/aap-conformance.md
dist_doc_DATA += doc/interpretations.md
dist_doc_DATA += doc/architecture.md
dist_doc_DATA += doc/bird.md
dist_doc_DATA += doc/coverage.md
dist_doc_DATA += doc/masc-conformance.md
dist_doc_DATA += doc/masc.md
dist_doc_DATA += doc/operating.md
dist_doc_DATA += doc/performance.md
dist_doc_DATA += doc/plugin-guide.md

exampledir = $(docdir)/example-plugin
dist_example_DATA = doc/example-plugin/pool.c

# The guide's plugin, as a module and for the unit tests; it finds the headers as an installed
# mallocd would have them.
doc/example-plugin/include/mallocd:
	$(AM_V_GEN)$(MKDIR_P) $(@D) && rm -f $@ && $(LN_S) $(abs_top_srcdir)/core $@
BUILT_SOURCES += doc/example-plugin/include/mallocd
CLEANFILES += doc/example-plugin/include/mallocd

check_LTLIBRARIES += doc/example-plugin/libpool.la
doc_example_plugin_libpool_la_SOURCES = doc/example-plugin/pool.c
doc_example_plugin_libpool_la_CPPFLAGS = -I$(top_builddir)/doc/example-plugin/include $(AM_CPPFLAGS)

check_LTLIBRARIES += doc/example-plugin/pool.la
doc_example_plugin_pool_la_SOURCES =
doc_example_plugin_pool_la_LIBADD = doc/example-plugin/libpool.la core/libmallocd-core.la $(DEPS_LIBS)
doc_example_plugin_pool_la_LDFLAGS = $(AM_LDFLAGS) $(DEFS_LDFLAGS) -module -avoid-version -shared \
  -rpath $(plugindir) -export-symbols-regex '^mal_plugin$$'
