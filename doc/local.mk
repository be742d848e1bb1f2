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
dist_doc_DATA += doc/interpretations.md
