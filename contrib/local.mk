# What is installed beside the programs. Paths are filled in by make, so that
# "make install prefix=..." is right, too.

fill_in = $(AM_V_GEN)$(MKDIR_P) $(@D) && $(SED) \
  -e 's|@prefix[@]|$(prefix)|g' \
  -e 's|@exec_prefix[@]|$(exec_prefix)|g' \
  -e 's|@libdir[@]|$(libdir)|g' \
  -e 's|@includedir[@]|$(includedir)|g' \
  -e 's|@plugindir[@]|$(plugindir)|g' \
  -e 's|@pkglibexecdir[@]|$(pkglibexecdir)|g' \
  -e 's|@sbindir[@]|$(sbindir)|g' \
  -e 's|@sysconfdir[@]|$(sysconfdir)|g' \
  -e 's|@VERSION[@]|$(VERSION)|g' \
  -e "s|@pluginabi[@]|`$(SED) -nE 's/^.define MAL_PLUGIN_ABI[ \t]+([0-9]+).*/\1/p' $(srcdir)/core/plugin.h`|g"

contrib/mallocd.pc: $(srcdir)/contrib/mallocd.pc.in $(srcdir)/core/plugin.h Makefile
	$(fill_in) $(srcdir)/contrib/mallocd.pc.in >$@.new && mv $@.new $@
contrib/systemd/mallocd.service: $(srcdir)/contrib/systemd/mallocd.service.in Makefile
	$(fill_in) $(srcdir)/contrib/systemd/mallocd.service.in >$@.new && mv $@.new $@
contrib/systemd/mallocd-bird-ended.service: $(srcdir)/contrib/systemd/mallocd-bird-ended.service.in Makefile
	$(fill_in) $(srcdir)/contrib/systemd/mallocd-bird-ended.service.in >$@.new && mv $@.new $@
# The names that systemd wants.
contrib/systemd/sysusers/mallocd.conf: $(srcdir)/contrib/systemd/mallocd.sysusers Makefile
	$(fill_in) $(srcdir)/contrib/systemd/mallocd.sysusers >$@.new && mv $@.new $@
contrib/systemd/tmpfiles/mallocd.conf: $(srcdir)/contrib/systemd/mallocd.tmpfiles Makefile
	$(fill_in) $(srcdir)/contrib/systemd/mallocd.tmpfiles >$@.new && mv $@.new $@

pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = contrib/mallocd.pc
CLEANFILES += contrib/mallocd.pc contrib/systemd/mallocd.service \
  contrib/systemd/mallocd-bird-ended.service \
  contrib/systemd/sysusers/mallocd.conf contrib/systemd/tmpfiles/mallocd.conf

if INSTALL_SYSTEMDSYSTEMUNITDIR
systemdsystemunit_DATA = contrib/systemd/mallocd.service
systemdsystemunit_DATA += contrib/systemd/mallocd-bird-ended.service
systemdsystemunit_DATA += contrib/systemd/mallocd-bird-ended.timer
endif
if INSTALL_SYSUSERSDIR
sysusers_DATA = contrib/systemd/sysusers/mallocd.conf
endif
if INSTALL_TMPFILESDIR
tmpfiles_DATA = contrib/systemd/tmpfiles/mallocd.conf
endif
if INSTALL_COMPLETIONSDIR
completions_DATA = contrib/completion/mallocd contrib/completion/mallocctl
endif
dist_doc_DATA += contrib/mallocd.conf.sample
dist_pkglibexec_SCRIPTS = contrib/bird/bird-withdraw-ended

EXTRA_DIST += contrib/mallocd.pc.in
EXTRA_DIST += contrib/systemd/mallocd.service.in
EXTRA_DIST += contrib/systemd/mallocd-bird-ended.service.in
EXTRA_DIST += contrib/systemd/mallocd-bird-ended.timer
EXTRA_DIST += contrib/systemd/mallocd.sysusers
EXTRA_DIST += contrib/systemd/mallocd.tmpfiles
EXTRA_DIST += contrib/completion/mallocd
EXTRA_DIST += contrib/completion/mallocctl
EXTRA_DIST += contrib/install-deps.sh
EXTRA_DIST += contrib/run-tests.sh
EXTRA_DIST += contrib/quickstart.sh
# To be copied into the personal Lua plugin folder of Wireshark.
wiresharkdir = $(pkgdatadir)/wireshark
dist_wireshark_DATA = contrib/wireshark/aap.lua contrib/wireshark/madcap.lua contrib/wireshark/masc.lua

EXTRA_DIST += \
  contrib/mallocd.pc.in \
  contrib/systemd/mallocd.service.in \
  contrib/systemd/mallocd.sysusers \
  contrib/systemd/mallocd.tmpfiles \
  contrib/completion/mallocd \
  contrib/completion/mallocctl \
  contrib/install-deps.sh \
  contrib/run-tests.sh
