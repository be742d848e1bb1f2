# A unit test is tests/unit/test-X.c (Criterion) and one line here:
#   unit_tests += tests/unit/test-X
# It links the whole core, hidden symbols included. One that needs a plugin's code adds
#   tests_unit_test_X_LDADD = plugins/madcap/libmadcap.la $(LDADD)
# One that loads plugins as shared objects must not have a second core inside, and adds
#   tests_unit_test_X_LDADD = core/libmallocd-core.la $(test_libs)
# One of several files adds tests_unit_test_X_SOURCES = tests/unit/test-X.c ...
#
# A script is one line, too (exit status 77: skipped); it finds top_srcdir, top_builddir and
# MALLOCD_PLUGIN_DIR in its environment, as the unit tests do:
#   test_scripts += tests/e2e/x.py

# One under a fake runtime (tests/support/fake-runtime.h) adds
#   tests_unit_test_X_LDADD = tests/support/libsupport.la $(LDADD)

# One under the simulator (tests/sim/sim.h) adds
#   tests_unit_test_X_LDADD = tests/sim/libmalsim.la $(LDADD)

test_libs = $(CRITERION_LIBS) $(DEPS_LIBS)
LDADD = core/libmallocd-all.la $(test_libs)

check_LTLIBRARIES += tests/support/libsupport.la
tests_support_libsupport_la_SOURCES = $(support_sources)
support_sources =
support_sources += tests/support/fake-runtime.c tests/support/fake-runtime.h
support_sources += tests/support/fake-stream.c tests/support/fake-stream.h
support_sources += tests/support/fault-vfs.c tests/support/fault-vfs.h
support_sources += tests/fuzz/fuzz.h
support_sources += tests/support/loop.h tests/support/private-net.h

# The daemon with a disk that can be told to fail, for tests/e2e.
check_PROGRAMS += tests/support/mallocd-disk
tests_support_mallocd_disk_SOURCES = core/mallocd-main.c tests/support/disk-vfs.c
tests_support_mallocd_disk_CFLAGS = $(mallocd_CFLAGS)
tests_support_mallocd_disk_LDFLAGS = $(mallocd_LDFLAGS)
tests_support_mallocd_disk_LDADD = $(mallocd_LDADD)

check_LTLIBRARIES += tests/sim/libmalsim.la
tests_sim_libmalsim_la_SOURCES = tests/sim/sim.c tests/sim/sim.h tests/sim/sim-internal.h tests/sim/sim-connection.c \
  tests/sim/sim-disk.c tests/sim/sim-net.c tests/sim/sim-node.c tests/sim/sim-queue.c tests/sim/sim-route.c \
  tests/sim/sim-stream.c tests/sim/sim-stream.h tests/sim/sim-trace.c tests/sim/sim-udp.c tests/sim/sim-worker.c

# Whole daemons with the MADCAP plugin on the simulator: tests/sim/madcap-world.h.
sim_store = tests/sim/sim-store.c tests/sim/sim-store.h tests/sim/sim-store-octets.c tests/sim/sim-store-private.h
# What all soaks share (tests/sim/soak.h), and the worlds of MADCAP (tests/sim/madcap-world.h).
soak = tests/sim/soak.c tests/sim/soak.h tests/sim/soak-shrink.c tests/sim/world-plan.c tests/sim/world-plan.h
madcap_world = tests/sim/madcap-world.c tests/sim/madcap-world.h tests/sim/madcap-world-private.h \
  tests/sim/madcap-world-agent.c tests/sim/madcap-world-agent.h tests/sim/madcap-world-check.c \
  tests/sim/madcap-world-client.c tests/sim/madcap-world-plan.c tests/sim/madcap-world-program.c \
  tests/sim/madcap-world-promise.c tests/sim/madcap-world-server.c \
  tests/sim/madcap-world-space.c tests/sim/madcap-world-tap.c tests/sim/madcap-world-trouble.c \
  $(sim_store) $(soak)
check_PROGRAMS += tests/sim/soak-madcap
tests_sim_soak_madcap_SOURCES = tests/sim/soak-madcap.c $(madcap_world)
tests_sim_soak_madcap_LDADD = tests/sim/libmalsim.la plugins/madcap/libmadcap.la core/libmallocd-all.la $(DEPS_LIBS)

# Zones and coordinators of AAP on a wheel of their own: tests/sim/aap-world.h.
aap_world = tests/sim/aap-world.c tests/sim/aap-world.h tests/sim/aap-world-private.h \
  tests/sim/aap-world-check.c tests/sim/aap-world-client.c tests/sim/aap-world-coordinator.c \
  tests/sim/aap-world-plan.c tests/sim/aap-world-server.c tests/sim/aap-world-trouble.c \
  tests/sim/aap-world-wire.c $(soak)
check_PROGRAMS += tests/sim/soak-aap
tests_sim_soak_aap_SOURCES = tests/sim/soak-aap.c $(aap_world)
tests_sim_soak_aap_LDADD = plugins/aap/libaap.la core/libmallocd-all.la $(DEPS_LIBS)
soak-aap: tests/sim/soak-aap
	tests/sim/soak-aap $(SEEDS)
.PHONY: soak-aap

# Whole daemons with the MASC plugin in a tree of domains: tests/sim/masc-world.h.
masc_world = tests/sim/masc-world.c tests/sim/masc-world.h tests/sim/masc-world-private.h \
  tests/sim/masc-world-check.c tests/sim/masc-world-hand.c tests/sim/masc-world-node.c \
  tests/sim/masc-world-plan.c tests/sim/masc-world-scopes.c tests/sim/masc-world-site.c \
  tests/sim/masc-world-topology.c tests/sim/masc-world-trouble.c tests/sim/masc-world-user.c \
  $(sim_store) $(soak)
# Descriptors of plugins under names of their own, since these daemons have several inside.
check_LTLIBRARIES += tests/sim/libnamed-aap.la tests/sim/libnamed-madcap.la
tests_sim_libnamed_aap_la_SOURCES = plugins/aap/aap.c
tests_sim_libnamed_aap_la_CPPFLAGS = $(AM_CPPFLAGS) -Dmal_plugin=mal_plugin_aap
tests_sim_libnamed_madcap_la_SOURCES = plugins/madcap/madcap.c
tests_sim_libnamed_madcap_la_CPPFLAGS = $(AM_CPPFLAGS) -Dmal_plugin=mal_plugin_madcap
masc_world_plugins = tests/sim/libnamed-aap.la tests/sim/libnamed-madcap.la \
  plugins/masc/libmasc.la plugins/aap/libaap.la plugins/madcap/libmadcap.la
check_PROGRAMS += tests/sim/soak-masc-faults
tests_sim_soak_masc_faults_SOURCES = tests/sim/soak-masc-faults.c $(masc_world)
tests_sim_soak_masc_faults_LDADD = tests/sim/libmalsim.la $(masc_world_plugins) core/libmallocd-all.la $(DEPS_LIBS)
soak-masc-faults: tests/sim/soak-masc-faults
	tests/sim/soak-masc-faults $(SEEDS)
.PHONY: soak-masc-faults

# The claim algorithm of MASC under the workload of SIGCOMM 98: tests/sim/masc-workload.h.
masc_workload = tests/sim/masc-workload.h tests/sim/masc-workload-check.c tests/sim/masc-workload-demand.c \
  tests/sim/masc-workload-draw.c tests/sim/masc-workload-ideal.c tests/sim/masc-workload-links.c \
  tests/sim/masc-workload-real.c tests/sim/masc-workload-real.h tests/sim/masc-workload-score.c
check_PROGRAMS += tests/sim/masc-workload
tests_sim_masc_workload_SOURCES = tests/sim/masc-workload.c $(masc_workload)
tests_sim_masc_workload_LDADD = plugins/masc/libmasc.la core/libmallocd-all.la $(DEPS_LIBS) -lm

# make soak-masc: all of it, with real zones, which takes long; soak-masc-scales: less and more demand, and uneven trees.
MASC_WORKLOAD = --tlds 50 --children 50 --days 800
MASC_PAGES = GLIBC_TUNABLES=glibc.malloc.hugetlb=1
soak-masc: tests/sim/masc-workload
	$(MASC_PAGES) tests/sim/masc-workload $(MASC_WORKLOAD) --csv masc-workload.csv --svg masc-workload.svg
soak-masc-scales: tests/sim/masc-workload
	for scale in .7 .85 1 1.2 1.45; do $(MASC_PAGES) tests/sim/masc-workload $(MASC_WORKLOAD) --scale $$scale --quiet || exit 1; done
	$(MASC_PAGES) tests/sim/masc-workload $(MASC_WORKLOAD) --uneven --quiet
.PHONY: soak-masc soak-masc-scales
CLEANFILES += masc-workload.csv masc-workload.svg

# make soak SEEDS="1 1000000": any number of worlds, on all processors; it stops at the first that breaks an invariant,
# and says how to run it again and how to reduce it.
SEEDS = 1 5000
soak: tests/sim/soak-madcap
	tests/sim/soak-madcap $(SEEDS)
.PHONY: soak

# make soak-crash KILLS=300: so many SIGKILLs, power cuts, runs on a failing and on a full disk.
KILLS = 300
soak-crash: all $(check_PROGRAMS)
	$(AM_TESTS_ENVIRONMENT) KILLS=$(KILLS) CRASH_SEED=$(CRASH_SEED) $(PYTHON3) $(srcdir)/tests/e2e/test_crash.py
.PHONY: soak-crash

check_PROGRAMS += tests/bench/bench-store
tests_bench_bench_store_LDADD = core/libmallocd-all.la $(DEPS_LIBS)
check_PROGRAMS += tests/bench/bench-aap
tests_bench_bench_aap_SOURCES = tests/bench/bench-aap.c $(aap_world)
tests_bench_bench_aap_LDADD = plugins/aap/libaap.la core/libmallocd-all.la $(DEPS_LIBS)
check_PROGRAMS += tests/bench/bench-sim
tests_bench_bench_sim_LDADD = tests/sim/libmalsim.la core/libmallocd-all.la $(DEPS_LIBS)

check_PROGRAMS += tests/bench/bench-udp
tests_bench_bench_udp_LDADD = core/libmallocd-all.la $(DEPS_LIBS)

unit_tests =

# Whole daemons on the simulator: tests/unit/daemons.h.
daemons = tests/unit/daemons.c tests/unit/daemons.h $(sim_store)
# Zones of AAP on a virtual wire: tests/unit/aap-bed.h.
aap_bed = tests/unit/aap-bed.c tests/unit/aap-bed.h
unit_tests += tests/unit/test-address
unit_tests += tests/unit/test-allocator
tests_unit_test_allocator_SOURCES = tests/unit/test-allocator.c tests/unit/allocator-bed.h
unit_tests += tests/unit/test-allocator-edges
tests_unit_test_allocator_edges_SOURCES = tests/unit/test-allocator-edges.c tests/unit/allocator-bed.h
unit_tests += tests/unit/test-allocator-model
unit_tests += tests/unit/test-conf
unit_tests += tests/unit/test-ctl
unit_tests += tests/unit/test-control
tests_unit_test_control_LDADD = tests/support/libsupport.la $(LDADD)
unit_tests += tests/unit/test-control-socket
tests_unit_test_control_socket_SOURCES = tests/unit/test-control-socket.c tests/unit/control-socket-bed.c \
  tests/unit/control-socket-bed.h
core_bed = tests/unit/core-bed.c tests/unit/core-bed.h
unit_tests += tests/unit/test-core
tests_unit_test_core_SOURCES = tests/unit/test-core.c $(core_bed)
tests_unit_test_core_LDADD = tests/support/libsupport.la $(LDADD)
unit_tests += tests/unit/test-core-hand
tests_unit_test_core_hand_SOURCES = tests/unit/test-core-hand.c $(core_bed)
tests_unit_test_core_hand_LDADD = tests/support/libsupport.la $(LDADD)
unit_tests += tests/unit/test-derive
unit_tests += tests/unit/test-derive-core
tests_unit_test_derive_core_LDADD = tests/support/libsupport.la $(LDADD)
unit_tests += tests/unit/test-error
unit_tests += tests/unit/test-events
tests_unit_test_events_LDADD = tests/support/libsupport.la $(LDADD)
unit_tests += tests/unit/test-example-plugin
tests_unit_test_example_plugin_LDADD = doc/example-plugin/libpool.la tests/support/libsupport.la $(LDADD)
unit_tests += tests/unit/test-leases
tests_unit_test_leases_SOURCES = tests/unit/test-leases.c tests/unit/leases-bed.c tests/unit/leases-bed.h
tests_unit_test_leases_LDADD = tests/support/libsupport.la $(LDADD)
unit_tests += tests/unit/test-leases-layer2
tests_unit_test_leases_layer2_SOURCES = tests/unit/test-leases-layer2.c tests/unit/leases-bed.c tests/unit/leases-bed.h
tests_unit_test_leases_layer2_LDADD = tests/support/libsupport.la $(LDADD)
unit_tests += tests/unit/test-leases-bounds
tests_unit_test_leases_bounds_SOURCES = tests/unit/test-leases-bounds.c tests/unit/leases-bed.c tests/unit/leases-bed.h
tests_unit_test_leases_bounds_LDADD = tests/support/libsupport.la $(LDADD)
unit_tests += tests/unit/test-leases-corners
tests_unit_test_leases_corners_SOURCES = tests/unit/test-leases-corners.c tests/unit/leases-bed.c tests/unit/leases-bed.h
tests_unit_test_leases_corners_LDADD = tests/support/libsupport.la $(LDADD)
unit_tests += tests/unit/test-leases-cases
tests_unit_test_leases_cases_SOURCES = tests/unit/test-leases-cases.c tests/unit/leases-bed.c tests/unit/leases-bed.h
tests_unit_test_leases_cases_LDADD = tests/support/libsupport.la $(LDADD)
unit_tests += tests/unit/test-leases-edges
tests_unit_test_leases_edges_SOURCES = tests/unit/test-leases-edges.c tests/unit/leases-bed.c \
  tests/unit/leases-bed.h
tests_unit_test_leases_edges_LDADD = tests/support/libsupport.la $(LDADD)
unit_tests += tests/unit/test-leases-life
tests_unit_test_leases_life_SOURCES = tests/unit/test-leases-life.c tests/unit/leases-bed.c tests/unit/leases-bed.h
tests_unit_test_leases_life_LDADD = tests/support/libsupport.la $(LDADD)
unit_tests += tests/unit/test-leases-slots
tests_unit_test_leases_slots_SOURCES = tests/unit/test-leases-slots.c tests/unit/leases-bed.c tests/unit/leases-bed.h
tests_unit_test_leases_slots_LDADD = tests/support/libsupport.la $(LDADD)
unit_tests += tests/unit/test-leases-reenter
tests_unit_test_leases_reenter_LDADD = tests/support/libsupport.la $(LDADD)
unit_tests += tests/unit/test-plan
unit_tests += tests/unit/test-links
tests_unit_test_links_LDADD = tests/support/libsupport.la $(LDADD)
unit_tests += tests/unit/test-runtime
unit_tests += tests/unit/test-runtime-glib
tests_unit_test_runtime_glib_SOURCES = tests/unit/test-runtime-glib.c tests/unit/test-runtime-glib-timers.c
unit_tests += tests/unit/test-runtime-glib-tcp
unit_tests += tests/unit/test-runtime-glib-udp
unit_tests += tests/unit/test-runtime-glib-unix
unit_tests += tests/unit/test-file
unit_tests += tests/unit/test-routes
unit_tests += tests/unit/test-bird-parts tests/unit/test-bird-plugin
tests_unit_test_bird_parts_LDADD = plugins/bird/libbird.la $(LDADD)
tests_unit_test_bird_plugin_LDADD = tests/support/libsupport.la plugins/bird/libbird.la $(LDADD)
unit_tests += tests/unit/test-scope
tests_unit_test_sim_LDADD = tests/sim/libmalsim.la $(LDADD)
unit_tests += tests/unit/test-space-split
tests_unit_test_space_split_SOURCES = tests/unit/test-space-split.c tests/unit/leases-bed.c tests/unit/leases-bed.h
tests_unit_test_space_split_LDADD = tests/support/libsupport.la $(LDADD)
unit_tests += tests/unit/test-space
tests_unit_test_space_SOURCES = tests/unit/test-space.c tests/unit/space-bed.h
unit_tests += tests/unit/test-space-edges
tests_unit_test_space_edges_SOURCES = tests/unit/test-space-edges.c tests/unit/space-bed.h
unit_tests += tests/unit/test-store
tests_unit_test_store_SOURCES = tests/unit/test-store.c tests/unit/test-store-compact.c \
  tests/unit/test-store-faults.c tests/unit/test-store-log.c tests/unit/test-store-open.c \
  tests/unit/test-store-task.c \
  tests/unit/store-fixture.c tests/unit/store-fixture.h
tests_unit_test_store_LDADD = tests/support/libsupport.la $(LDADD)
unit_tests += tests/unit/test-store-records
tests_unit_test_store_records_LDADD = tests/support/libsupport.la $(LDADD)
unit_tests += tests/unit/test-sim tests/unit/test-sim-chaos tests/unit/test-sim-network tests/unit/test-sim-stream
unit_tests += tests/unit/test-sim-store
tests_unit_test_sim_store_SOURCES = tests/unit/test-sim-store.c $(sim_store)
tests_unit_test_sim_store_LDADD = tests/sim/libmalsim.la $(LDADD)
unit_tests += tests/unit/test-leases-sim
tests_unit_test_leases_sim_SOURCES = tests/unit/test-leases-sim.c $(sim_store)
tests_unit_test_leases_sim_LDADD = tests/sim/libmalsim.la $(LDADD)
unit_tests += tests/unit/test-leases-wait
tests_unit_test_leases_wait_SOURCES = tests/unit/test-leases-wait.c tests/unit/leases-bed.c tests/unit/leases-bed.h
tests_unit_test_leases_wait_LDADD = tests/support/libsupport.la $(LDADD)
tests_unit_test_sim_chaos_LDADD = tests/sim/libmalsim.la $(LDADD)
tests_unit_test_sim_network_LDADD = tests/sim/libmalsim.la $(LDADD)
tests_unit_test_sim_stream_LDADD = tests/sim/libmalsim.la $(LDADD)
test_worlds = tests/sim/test-worlds.c tests/sim/test-worlds.h
unit_tests += tests/sim/test-sim-madcap
tests_sim_test_sim_madcap_SOURCES = tests/sim/test-sim-madcap.c $(test_worlds) $(madcap_world)
tests_sim_test_sim_madcap_LDADD = tests/sim/libmalsim.la plugins/madcap/libmadcap.la $(LDADD)
unit_tests += tests/sim/test-sim-masc-workload
tests_sim_test_sim_masc_workload_SOURCES = tests/sim/test-sim-masc-workload.c $(masc_workload)
tests_sim_test_sim_masc_workload_LDADD = plugins/masc/libmasc.la $(LDADD)
unit_tests += tests/sim/test-sim-masc
tests_sim_test_sim_masc_SOURCES = tests/sim/test-sim-masc.c $(test_worlds) $(masc_world)
tests_sim_test_sim_masc_LDADD = tests/sim/libmalsim.la $(masc_world_plugins) $(LDADD)
unit_tests += tests/sim/test-sim-aap
tests_sim_test_sim_aap_SOURCES = tests/sim/test-sim-aap.c $(test_worlds) $(aap_world)
tests_sim_test_sim_aap_LDADD = plugins/aap/libaap.la $(LDADD)
unit_tests += tests/unit/test-table
unit_tests += tests/unit/test-time-text
unit_tests += tests/unit/test-wire

madcap_packets = tests/support/madcap-packets.c tests/support/madcap-packets.h \
  tests/support/hex.c tests/support/hex.h
madcap_test_libs = plugins/madcap/libmadcap.la $(LDADD)
unit_tests += tests/unit/test-madcap-plugin
tests_unit_test_madcap_plugin_SOURCES = tests/unit/test-madcap-plugin.c \
  tests/unit/test-madcap-plugin-conf.c \
  tests/unit/madcap-daemon.c tests/unit/madcap-daemon.h
tests_unit_test_madcap_plugin_LDADD = plugins/madcap/libmadcap.la tests/support/libsupport.la $(LDADD)
unit_tests += tests/unit/test-madcap-shed tests/unit/test-runtime-glib-shed
tests_unit_test_madcap_shed_LDADD = $(madcap_test_libs)
unit_tests += tests/unit/test-madcap-server-list
tests_unit_test_madcap_server_list_LDADD = plugins/madcap/libmadcap.la $(LDADD)
unit_tests += tests/unit/test-madcap-server
tests_unit_test_madcap_server_SOURCES = tests/unit/test-madcap-server.c \
  tests/unit/test-madcap-server-edges.c tests/unit/test-madcap-server-parts.c \
  tests/unit/madcap-script.c tests/unit/madcap-script.h tests/unit/madcap-script-private.h \
  tests/unit/madcap-script-model.c tests/unit/madcap-script-text.c
tests_unit_test_madcap_server_LDADD = plugins/madcap/libmadcap.la $(LDADD)
unit_tests += tests/unit/test-madcap-client
tests_unit_test_madcap_client_SOURCES = tests/unit/test-madcap-client.c \
  tests/unit/test-madcap-client-edges.c tests/unit/test-madcap-client-held.c \
  tests/unit/madcap-client-script.c \
  tests/unit/madcap-client-script.h
tests_unit_test_madcap_client_LDADD = plugins/madcap/libmadcap.la $(LDADD)
unit_tests += tests/unit/test-madcap-client-sim
tests_unit_test_madcap_client_sim_SOURCES = tests/unit/test-madcap-client-sim.c \
  tests/unit/test-madcap-client-sim-held.c \
  tests/unit/madcap-world.c tests/unit/madcap-world.h
tests_unit_test_madcap_client_sim_LDADD = tests/sim/libmalsim.la plugins/madcap/libmadcap.la $(LDADD)
unit_tests += tests/unit/test-madcap-wire
tests_unit_test_madcap_wire_SOURCES = tests/unit/test-madcap-wire.c $(madcap_packets)
tests_unit_test_madcap_wire_LDADD = $(madcap_test_libs)
unit_tests += tests/unit/test-madcap-wire-edges
tests_unit_test_madcap_wire_edges_LDADD = $(madcap_test_libs)
unit_tests += tests/unit/test-madcap-encode
tests_unit_test_madcap_encode_SOURCES = tests/unit/test-madcap-encode.c $(madcap_packets)
tests_unit_test_madcap_encode_LDADD = $(madcap_test_libs)
unit_tests += tests/unit/test-madcap-golden
tests_unit_test_madcap_golden_SOURCES = tests/unit/test-madcap-golden.c $(madcap_packets) \
  tests/support/pcap.c tests/support/pcap.h
tests_unit_test_madcap_golden_LDADD = $(madcap_test_libs)
CLEANFILES += tests/madcap.pcap

aap_packets = tests/support/aap-packets.c tests/support/aap-packets.h tests/support/hex.c tests/support/hex.h
aap_test_libs = plugins/aap/libaap.la $(LDADD)
unit_tests += tests/unit/test-aap-asa
tests_unit_test_aap_asa_SOURCES = tests/unit/test-aap-asa.c $(aap_bed)
tests_unit_test_aap_asa_LDADD = $(aap_test_libs)
unit_tests += tests/unit/test-aap-auth
unit_tests += tests/unit/test-aap-edges
tests_unit_test_aap_edges_LDADD = $(aap_test_libs)
unit_tests += tests/unit/test-aap-claim
tests_unit_test_aap_claim_SOURCES = tests/unit/test-aap-claim.c $(aap_bed)
tests_unit_test_aap_claim_LDADD = $(aap_test_libs)
unit_tests += tests/unit/test-aap-used
tests_unit_test_aap_used_LDADD = $(aap_test_libs)
unit_tests += tests/unit/test-space-usage
tests_unit_test_space_usage_SOURCES = tests/unit/test-space-usage.c tests/unit/leases-bed.c \
  tests/unit/leases-bed.h
tests_unit_test_space_usage_LDADD = tests/support/libsupport.la $(LDADD)
unit_tests += tests/unit/test-aap-coordinator
tests_unit_test_aap_coordinator_SOURCES = tests/unit/test-aap-coordinator.c \
  tests/unit/test-aap-coordinator-corners.c tests/unit/aap-coordinator-bed.h
tests_unit_test_aap_coordinator_LDADD = $(aap_test_libs)
tests_unit_test_aap_auth_LDADD = $(aap_test_libs)
unit_tests += tests/unit/test-aap-conflict
tests_unit_test_aap_conflict_SOURCES = tests/unit/test-aap-conflict.c tests/unit/test-aap-tombstones.c \
  tests/unit/aap-conflict-bed.h $(aap_bed)
tests_unit_test_aap_conflict_LDADD = $(aap_test_libs)
unit_tests += tests/unit/test-aap-defence
tests_unit_test_aap_defence_SOURCES = tests/unit/test-aap-defence.c $(aap_bed)
tests_unit_test_aap_defence_LDADD = $(aap_test_libs)
unit_tests += tests/unit/test-aap-own
tests_unit_test_aap_own_SOURCES = tests/unit/test-aap-own.c tests/unit/test-aap-own-corners.c \
  $(aap_bed)
tests_unit_test_aap_own_LDADD = $(aap_test_libs)
unit_tests += tests/unit/test-aap-layer3
tests_unit_test_aap_layer3_SOURCES = tests/unit/test-aap-layer3.c $(daemons)
tests_unit_test_aap_layer3_LDADD = tests/sim/libmalsim.la $(aap_test_libs)
unit_tests += tests/unit/test-aap-pool
tests_unit_test_aap_pool_SOURCES = tests/unit/test-aap-pool.c $(aap_bed)
tests_unit_test_aap_pool_LDADD = $(aap_test_libs)
unit_tests += tests/unit/test-aap-plugin
tests_unit_test_aap_plugin_SOURCES = tests/unit/test-aap-plugin.c \
  tests/unit/test-aap-plugin-disk.c tests/unit/test-aap-plugin-flood.c \
  tests/unit/test-aap-plugin-reload.c \
  tests/unit/aap-daemons.c tests/unit/aap-daemons.h $(daemons)
tests_unit_test_aap_plugin_LDADD = tests/sim/libmalsim.la $(aap_test_libs)
unit_tests += tests/unit/test-aap-golden
tests_unit_test_aap_golden_SOURCES = tests/unit/test-aap-golden.c $(aap_packets) \
  tests/support/pcap.c tests/support/pcap.h
tests_unit_test_aap_golden_LDADD = $(aap_test_libs)
CLEANFILES += tests/aap.pcap
unit_tests += tests/unit/test-aap-choose
tests_unit_test_aap_choose_SOURCES = tests/unit/test-aap-choose.c tests/unit/aap-toy.h
tests_unit_test_aap_choose_LDADD = $(aap_test_libs)
unit_tests += tests/unit/test-aap-intervals
tests_unit_test_aap_intervals_SOURCES = tests/unit/test-aap-intervals.c tests/unit/aap-toy.h
tests_unit_test_aap_intervals_LDADD = $(aap_test_libs)
unit_tests += tests/unit/test-aap-record
tests_unit_test_aap_record_SOURCES = tests/unit/test-aap-record.c tests/unit/aap-toy.h
tests_unit_test_aap_record_LDADD = $(aap_test_libs)
unit_tests += tests/unit/test-aap-record-model
tests_unit_test_aap_record_model_SOURCES = tests/unit/test-aap-record-model.c tests/unit/aap-toy.h
tests_unit_test_aap_record_model_LDADD = $(aap_test_libs)
unit_tests += tests/unit/test-aap-ranges
tests_unit_test_aap_ranges_SOURCES = tests/unit/test-aap-ranges.c $(aap_packets)
tests_unit_test_aap_ranges_LDADD = $(aap_test_libs)
unit_tests += tests/unit/test-aap-scope
tests_unit_test_aap_scope_SOURCES = tests/unit/test-aap-scope.c $(aap_packets)
tests_unit_test_aap_scope_LDADD = $(aap_test_libs)
unit_tests += tests/unit/test-aap-storm
tests_unit_test_aap_storm_SOURCES = tests/unit/test-aap-storm.c $(aap_bed)
tests_unit_test_aap_storm_LDADD = $(aap_test_libs)
unit_tests += tests/unit/test-aap-time
tests_unit_test_aap_time_SOURCES = tests/unit/test-aap-time.c $(aap_packets)
tests_unit_test_aap_time_LDADD = $(aap_test_libs)
unit_tests += tests/unit/test-aap-zone
tests_unit_test_aap_zone_SOURCES = tests/unit/test-aap-zone.c $(aap_bed)
tests_unit_test_aap_zone_LDADD = $(aap_test_libs)
unit_tests += tests/unit/test-aap-wire
tests_unit_test_aap_wire_SOURCES = tests/unit/test-aap-wire.c $(aap_packets)
tests_unit_test_aap_wire_LDADD = $(aap_test_libs)

masc_packets = tests/support/masc-packets.c tests/support/masc-packets.h tests/support/hex.c tests/support/hex.h
masc_test_libs = plugins/masc/libmasc.la $(LDADD)
masc_bed = tests/unit/masc-bed.c tests/unit/masc-bed.h
masc_double = $(masc_bed) tests/unit/masc-own-double.c tests/unit/masc-own-double.h
masc_rig = $(masc_double) tests/unit/masc-rig.c tests/unit/masc-rig.h
unit_tests += tests/unit/test-masc-cache
tests_unit_test_masc_cache_SOURCES = tests/unit/test-masc-cache.c
tests_unit_test_masc_cache_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-compare
tests_unit_test_masc_compare_SOURCES = tests/unit/test-masc-compare.c $(masc_packets)
tests_unit_test_masc_compare_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-config
tests_unit_test_masc_config_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-flood
tests_unit_test_masc_flood_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-golden
tests_unit_test_masc_golden_SOURCES = tests/unit/test-masc-golden.c $(masc_packets) \
  tests/support/pcap.c tests/support/pcap.h
tests_unit_test_masc_golden_LDADD = $(masc_test_libs)
CLEANFILES += tests/masc.pcap
unit_tests += tests/unit/test-masc-holes
tests_unit_test_masc_holes_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-open
tests_unit_test_masc_open_SOURCES = tests/unit/test-masc-open.c $(masc_packets)
tests_unit_test_masc_open_LDADD = $(masc_test_libs)
masc_session_bed = tests/unit/masc-session-bed.c tests/unit/masc-session-bed.h $(masc_packets)
unit_tests += tests/unit/test-masc-session
tests_unit_test_masc_session_SOURCES = tests/unit/test-masc-session.c $(masc_session_bed)
tests_unit_test_masc_session_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-session-errors
tests_unit_test_masc_session_errors_SOURCES = tests/unit/test-masc-session-errors.c $(masc_session_bed)
tests_unit_test_masc_session_errors_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-session-pair
tests_unit_test_masc_session_pair_SOURCES = tests/unit/test-masc-session-pair.c $(masc_session_bed)
tests_unit_test_masc_session_pair_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-session-time
tests_unit_test_masc_session_time_SOURCES = tests/unit/test-masc-session-time.c $(masc_session_bed)
tests_unit_test_masc_session_time_LDADD = $(masc_test_libs)
# Own claims: what OWN says to the world, beside the bed.
masc_own_bed = $(masc_bed) tests/unit/masc-own-bed.c tests/unit/masc-own-bed.h
unit_tests += tests/unit/test-masc-own
tests_unit_test_masc_own_SOURCES = tests/unit/test-masc-own.c $(masc_own_bed)
tests_unit_test_masc_own_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-own-corners
tests_unit_test_masc_own_corners_SOURCES = tests/unit/test-masc-own-corners.c $(masc_own_bed)
tests_unit_test_masc_own_corners_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-refused
tests_unit_test_masc_refused_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-own-inside
tests_unit_test_masc_own_inside_SOURCES = tests/unit/test-masc-own-inside.c $(masc_own_bed)
tests_unit_test_masc_own_inside_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-own-expand
tests_unit_test_masc_own_expand_SOURCES = tests/unit/test-masc-own-expand.c $(masc_own_bed)
tests_unit_test_masc_own_expand_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-clash
tests_unit_test_masc_clash_SOURCES = tests/unit/test-masc-clash.c $(masc_own_bed)
tests_unit_test_masc_clash_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-local
tests_unit_test_masc_local_SOURCES = tests/unit/test-masc-local.c $(masc_own_bed)
tests_unit_test_masc_local_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-own-told
tests_unit_test_masc_own_told_SOURCES = tests/unit/test-masc-own-told.c $(masc_own_bed)
tests_unit_test_masc_own_told_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-own-hand
tests_unit_test_masc_own_hand_SOURCES = tests/unit/test-masc-own-hand.c $(masc_own_bed)
tests_unit_test_masc_own_hand_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-own-steps
tests_unit_test_masc_own_steps_SOURCES = tests/unit/test-masc-own-steps.c tests/unit/masc-own-ask.h $(masc_own_bed)
tests_unit_test_masc_own_steps_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-own-turns
tests_unit_test_masc_own_turns_SOURCES = tests/unit/test-masc-own-turns.c tests/unit/masc-own-ask.h $(masc_own_bed)
tests_unit_test_masc_own_turns_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-own-claims
tests_unit_test_masc_own_claims_SOURCES = tests/unit/test-masc-own-claims.c tests/unit/masc-own-ask.h $(masc_own_bed)
tests_unit_test_masc_own_claims_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-own-records
tests_unit_test_masc_own_records_SOURCES = tests/unit/test-masc-own-records.c tests/unit/masc-own-ask.h $(masc_own_bed)
tests_unit_test_masc_own_records_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-own-adopt
tests_unit_test_masc_own_adopt_SOURCES = tests/unit/test-masc-own-adopt.c $(masc_own_bed)
tests_unit_test_masc_own_adopt_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-own-denied
tests_unit_test_masc_own_denied_SOURCES = tests/unit/test-masc-own-denied.c $(masc_own_bed)
tests_unit_test_masc_own_denied_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-own-hints
tests_unit_test_masc_own_hints_SOURCES = tests/unit/test-masc-own-hints.c $(masc_own_bed)
tests_unit_test_masc_own_hints_LDADD = $(masc_test_libs)
# The same zones over IPv6: masc-bed.h. Section 11 has another half of OWN, so two programs.
masc_six_own = tests/unit/test-masc-clash.c tests/unit/test-masc-local.c tests/unit/test-masc-own.c \
  tests/unit/test-masc-own-corners.c tests/unit/test-masc-own-denied.c tests/unit/test-masc-own-expand.c tests/unit/test-masc-own-hints.c \
  tests/unit/test-masc-own-parents.c tests/unit/test-masc-own-store.c tests/unit/test-masc-own-told.c \
  tests/unit/test-masc-own-world.c tests/unit/test-masc-six-plan.c
masc_six_update = tests/unit/test-masc-update-claims.c tests/unit/test-masc-update-denied.c \
  tests/unit/test-masc-update-order.c tests/unit/test-masc-update-roles.c tests/unit/test-masc-update-store.c \
  tests/unit/test-masc-update-withdraw.c tests/unit/test-masc-six-hints.c
unit_tests += tests/unit/test-masc-six-own tests/unit/test-masc-six-update
tests_unit_test_masc_six_own_SOURCES = $(masc_six_own) $(masc_own_bed)
tests_unit_test_masc_six_own_CPPFLAGS = $(AM_CPPFLAGS) -DMASC_BED_SIX
tests_unit_test_masc_six_own_LDADD = $(masc_test_libs)
tests_unit_test_masc_six_update_SOURCES = $(masc_six_update) $(masc_rig)
tests_unit_test_masc_six_update_CPPFLAGS = $(AM_CPPFLAGS) -DMASC_BED_SIX
tests_unit_test_masc_six_update_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-own-parents
tests_unit_test_masc_own_parents_SOURCES = tests/unit/test-masc-own-parents.c $(masc_own_bed)
tests_unit_test_masc_own_parents_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-own-store
tests_unit_test_masc_own_store_SOURCES = tests/unit/test-masc-own-store.c $(masc_own_bed)
tests_unit_test_masc_own_store_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-own-world
tests_unit_test_masc_own_world_SOURCES = tests/unit/test-masc-own-world.c $(masc_own_bed)
tests_unit_test_masc_own_world_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-forecast tests/unit/test-masc-plan tests/unit/test-masc-plan-any
tests_unit_test_masc_forecast_LDADD = $(masc_test_libs)
tests_unit_test_masc_plan_LDADD = $(masc_test_libs)
tests_unit_test_masc_plan_any_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-update-denied
tests_unit_test_masc_update_denied_SOURCES = tests/unit/test-masc-update-denied.c $(masc_rig)
tests_unit_test_masc_update_denied_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-update-full
tests_unit_test_masc_update_full_SOURCES = tests/unit/test-masc-update-full.c $(masc_rig)
tests_unit_test_masc_update_full_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-update-order
tests_unit_test_masc_update_order_SOURCES = tests/unit/test-masc-update-order.c $(masc_rig)
tests_unit_test_masc_update_order_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-update-space
tests_unit_test_masc_update_space_SOURCES = tests/unit/test-masc-update-space.c $(masc_rig)
tests_unit_test_masc_update_space_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-update-store
tests_unit_test_masc_update_store_SOURCES = tests/unit/test-masc-update-store.c $(masc_rig)
tests_unit_test_masc_update_store_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-update-withdraw
tests_unit_test_masc_update_withdraw_SOURCES = tests/unit/test-masc-update-withdraw.c $(masc_rig)
tests_unit_test_masc_update_withdraw_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-update-roles
tests_unit_test_masc_update_roles_SOURCES = tests/unit/test-masc-update-roles.c $(masc_rig)
tests_unit_test_masc_update_roles_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-update-claims
tests_unit_test_masc_update_claims_SOURCES = tests/unit/test-masc-update-claims.c $(masc_rig)
tests_unit_test_masc_update_claims_LDADD = $(masc_test_libs)
# Whole daemons with the MASC plugin on the simulator: tests/unit/masc-daemons.h.
masc_daemons = tests/unit/masc-daemons.c tests/unit/masc-daemons.h $(daemons)
unit_tests += tests/unit/test-masc-plugin
tests_unit_test_masc_plugin_SOURCES = tests/unit/test-masc-plugin.c $(masc_daemons)
tests_unit_test_masc_plugin_LDADD = tests/sim/libmalsim.la $(masc_test_libs)
unit_tests += tests/unit/test-masc-plugin-chaos
tests_unit_test_masc_plugin_chaos_SOURCES = tests/unit/test-masc-plugin-chaos.c $(masc_daemons)
tests_unit_test_masc_plugin_chaos_LDADD = tests/sim/libmalsim.la $(masc_test_libs)
unit_tests += tests/unit/test-masc-space
tests_unit_test_masc_space_LDADD = $(masc_test_libs)
unit_tests += tests/unit/test-masc-plugin-inside
tests_unit_test_masc_plugin_inside_SOURCES = tests/unit/test-masc-plugin-inside.c $(masc_daemons)
tests_unit_test_masc_plugin_inside_LDADD = tests/sim/libmalsim.la $(masc_test_libs)
unit_tests += tests/unit/test-masc-plugin-more
tests_unit_test_masc_plugin_more_SOURCES = tests/unit/test-masc-plugin-more.c $(masc_daemons)
tests_unit_test_masc_plugin_more_LDADD = tests/sim/libmalsim.la $(masc_test_libs)
unit_tests += tests/unit/test-masc-plugin-zone
tests_unit_test_masc_plugin_zone_SOURCES = tests/unit/test-masc-plugin-zone.c $(masc_daemons)
tests_unit_test_masc_plugin_zone_LDADD = tests/sim/libmalsim.la $(masc_test_libs)
unit_tests += tests/unit/test-masc-plugin-wire
tests_unit_test_masc_plugin_wire_SOURCES = tests/unit/test-masc-plugin-wire.c $(masc_daemons)
tests_unit_test_masc_plugin_wire_LDADD = tests/sim/libmalsim.la $(masc_test_libs)
unit_tests += tests/unit/test-masc-tree
tests_unit_test_masc_tree_SOURCES = tests/unit/test-masc-tree.c tests/unit/masc-own-ask.h $(masc_own_bed) $(masc_daemons)
tests_unit_test_masc_tree_LDADD = tests/sim/libmalsim.la $(masc_test_libs)
unit_tests += tests/unit/test-masc-wire
tests_unit_test_masc_wire_SOURCES = tests/unit/test-masc-wire.c $(masc_packets)
tests_unit_test_masc_wire_LDADD = $(masc_test_libs)

# Codecs as filters, for tests in Python.
json_filter = tests/support/json-filter.c tests/support/json-filter.h
check_PROGRAMS += tests/support/aap-json
tests_support_aap_json_SOURCES = tests/support/aap-json.c $(json_filter)
tests_support_aap_json_LDADD = plugins/aap/libaap.la core/libmallocd-all.la $(DEPS_LIBS)
check_PROGRAMS += tests/support/madcap-json
tests_support_madcap_json_SOURCES = tests/support/madcap-json.c $(json_filter)
tests_support_madcap_json_LDADD = plugins/madcap/libmadcap.la core/libmallocd-all.la $(DEPS_LIBS)
check_PROGRAMS += tests/support/masc-json
tests_support_masc_json_SOURCES = tests/support/masc-json.c $(json_filter)
tests_support_masc_json_LDADD = plugins/masc/libmasc.la core/libmallocd-all.la $(DEPS_LIBS)

test_scripts =
test_scripts += tests/bench/test_table.py
test_scripts += tests/e2e/test_aap.py
test_scripts += tests/e2e/test_aap_codec.py
test_scripts += tests/e2e/test_aap_dissector.sh
test_scripts += tests/e2e/test_client.py
test_scripts += tests/e2e/test_clock.py
test_scripts += tests/e2e/test_codec.py
test_scripts += tests/e2e/test_crash.py
test_scripts += tests/e2e/test_bird.py
test_scripts += tests/e2e/test_ctl.py
test_scripts += tests/e2e/test_ctl_hostile.py
test_scripts += tests/e2e/test_derived.py
test_scripts += tests/e2e/test_grib.py
test_scripts += tests/e2e/test_masc.py
test_scripts += tests/e2e/test_masc_chain.py
test_scripts += tests/e2e/test_masc_codec.py
test_scripts += tests/e2e/test_masc_dissector.sh
test_scripts += tests/e2e/test_service.py
test_scripts += tests/e2e/test_ctl_direct.py
test_scripts += tests/e2e/test_dissector.sh
test_scripts += tests/e2e/test_operation.py
test_scripts += tests/e2e/test_server.py
test_scripts += tests/plugins/test_guide.py
test_scripts += tests/plugins/test_loading.py
test_scripts += tests/plugins/test_pool.py
test_scripts += $(lints)
test_scripts += tests/packaging/completion.sh
test_scripts += tests/packaging/files.sh
test_scripts += tests/packaging/hardening.sh
test_scripts += tests/packaging/headers.sh
test_scripts += tests/packaging/manuals.sh
test_scripts += tests/packaging/quickstart.sh
test_scripts += tests/packaging/readme.sh

# make lint runs these alone; make lint-deep, clang's analyzer over every path (about five minutes).
lints = tests/lint/conformance.py tests/lint/lists.sh tests/lint/layers.sh tests/lint/exports.sh \
  tests/lint/globals.sh tests/lint/style.sh tests/lint/tidy.sh tests/lint/selftest.sh
lint: all
	@$(AM_TESTS_ENVIRONMENT) status=0; for l in $(lints); do \
	  case $$l in *.py) with="$(PYTHON3)";; *) with="$(BASH_PROGRAM)";; esac; \
	  $$with $(srcdir)/$$l; r=$$?; \
	  if test $$r != 0 && test $$r != 77; then echo "$$l failed"; status=1; fi; done; exit $$status
lint-deep: all
	@$(AM_TESTS_ENVIRONMENT) MALLOCD_TIDY=deep $(BASH_PROGRAM) $(srcdir)/tests/lint/tidy.sh

# A fuzz target is tests/fuzz/fuzz-X.c with LLVMFuzzerTestOneInput (tests/fuzz/fuzz.h), three lines:
#   fuzz_targets += tests/fuzz/fuzz-X
#   tests_fuzz_fuzz_X_LDADD = $(fuzz_libs)
#   tests_fuzz_fuzz_X_LDFLAGS = $(fuzz_ldflags)
# and first inputs in tests/fuzz/corpus/X/. With --enable-fuzzer it is a fuzzer (make fuzz); without, it gets a plain
# main that replays the corpus in make check.
fuzz_targets =
fuzz_targets += tests/fuzz/fuzz-aap-keys
tests_fuzz_fuzz_aap_keys_LDADD = plugins/aap/libaap.la $(fuzz_libs)
tests_fuzz_fuzz_aap_keys_LDFLAGS = $(fuzz_ldflags)
fuzz_targets += tests/fuzz/fuzz-aap-wire
tests_fuzz_fuzz_aap_wire_LDADD = plugins/aap/libaap.la $(fuzz_libs)
tests_fuzz_fuzz_aap_wire_LDFLAGS = $(fuzz_ldflags)
fuzz_targets += tests/fuzz/fuzz-aap-zone
tests_fuzz_fuzz_aap_zone_LDADD = plugins/aap/libaap.la $(fuzz_libs)
tests_fuzz_fuzz_aap_zone_LDFLAGS = $(fuzz_ldflags)
fuzz_targets += tests/fuzz/fuzz-bird
tests_fuzz_fuzz_bird_LDADD = plugins/bird/libbird.la $(fuzz_libs)
tests_fuzz_fuzz_bird_LDFLAGS = $(fuzz_ldflags)
fuzz_targets += tests/fuzz/fuzz-conf
tests_fuzz_fuzz_conf_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_conf_LDFLAGS = $(fuzz_ldflags)
fuzz_targets += tests/fuzz/fuzz-control
tests_fuzz_fuzz_control_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_control_LDFLAGS = $(fuzz_ldflags)
fuzz_targets += tests/fuzz/fuzz-control-socket
tests_fuzz_fuzz_control_socket_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_control_socket_LDFLAGS = $(fuzz_ldflags)
fuzz_targets += tests/fuzz/fuzz-ctl
tests_fuzz_fuzz_ctl_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_ctl_LDFLAGS = $(fuzz_ldflags)
fuzz_targets += tests/fuzz/fuzz-madcap-client
tests_fuzz_fuzz_madcap_client_SOURCES = tests/fuzz/fuzz-madcap-client.c tests/fuzz/fuzz-madcap-client.h \
  tests/fuzz/fuzz-madcap-client-answers.c
tests_fuzz_fuzz_madcap_client_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_madcap_client_LDFLAGS = $(fuzz_ldflags)
fuzz_targets += tests/fuzz/fuzz-madcap-server
tests_fuzz_fuzz_madcap_server_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_madcap_server_LDFLAGS = $(fuzz_ldflags)
fuzz_targets += tests/fuzz/fuzz-madcap-wire
tests_fuzz_fuzz_madcap_wire_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_madcap_wire_LDFLAGS = $(fuzz_ldflags)
fuzz_targets += tests/fuzz/fuzz-masc-session
tests_fuzz_fuzz_masc_session_LDADD = plugins/masc/libmasc.la $(fuzz_libs)
tests_fuzz_fuzz_masc_session_LDFLAGS = $(fuzz_ldflags)
fuzz_targets += tests/fuzz/fuzz-masc-wire
tests_fuzz_fuzz_masc_wire_LDADD = plugins/masc/libmasc.la $(fuzz_libs)
tests_fuzz_fuzz_masc_wire_LDFLAGS = $(fuzz_ldflags)
fuzz_targets += tests/fuzz/fuzz-masc-zone
tests_fuzz_fuzz_masc_zone_LDADD = plugins/masc/libmasc.la $(fuzz_libs)
tests_fuzz_fuzz_masc_zone_LDFLAGS = $(fuzz_ldflags)
fuzz_targets += tests/fuzz/fuzz-store
tests_fuzz_fuzz_store_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_store_LDFLAGS = $(fuzz_ldflags)
fuzz_targets += tests/fuzz/fuzz-text
tests_fuzz_fuzz_text_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_text_LDFLAGS = $(fuzz_ldflags)

# Files that tests read: golden packets, corpora, configurations, Python modules.
test_data =
test_data += tests/bench/run.sh
test_data += tests/bench/table.py
test_data += .clang-tidy tests/.clang-tidy tests/unit/.clang-tidy
test_data += tests/coverage/branches.py
test_data += tests/coverage/branches.sh
test_data += tests/coverage/lines.sh
test_data += tests/lint/strip.awk
test_data += tests/sanitizer-guard.sh
test_data += tests/golden/aap
test_data += tests/sim/README
test_data += tests/golden/madcap
test_data += tests/golden/masc
test_data += tests/plugins/built.py
test_data += tests/e2e/aap.py
test_data += tests/e2e/madcap.py
test_data += tests/e2e/masc.py
test_data += tests/e2e/masc_site.py
test_data += tests/e2e/codec.py
test_data += tests/e2e/ctl.py
test_data += tests/e2e/disk.py
test_data += tests/e2e/aap_dissector_fields.py
test_data += tests/e2e/masc_dissector_fields.py
test_data += tests/e2e/dissector.sh
test_data += tests/e2e/dissector_fields.py
test_data += tests/e2e/harness.py
test_data += tests/e2e/load.py
test_data += tests/e2e/madcap_site.py
test_data += tests/e2e/netns.py
test_data += tests/fuzz/corpus
test_data += tests/fuzz/fuzz.sh

fuzz_ldflags = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
fuzz_code = plugins/madcap/libmadcap.la tests/support/libsupport.la core/libmallocd-all.la $(DEPS_LIBS)
if ENABLE_FUZZER
fuzz_libs = $(fuzz_code)
else
check_LTLIBRARIES += tests/fuzz/libreplay.la
tests_fuzz_libreplay_la_SOURCES = tests/fuzz/replay-main.c
fuzz_libs = tests/fuzz/libreplay.la $(fuzz_code)
TESTS += $(fuzz_targets)
endif
check_PROGRAMS += $(fuzz_targets)

# make fuzz TIME=28800: each target for so many seconds, or those in TARGET="conf text" alone.
TIME = 60
TARGET = $(patsubst tests/fuzz/fuzz-%,%,$(fuzz_targets))
run_fuzz = top_srcdir='$(abs_top_srcdir)' $(BASH_PROGRAM) $(srcdir)/tests/fuzz/fuzz.sh
fuzz: $(fuzz_targets)
	$(run_fuzz) fuzz $(TIME) $(TARGET)
fuzz-merge: $(fuzz_targets)
	$(run_fuzz) merge $(TARGET)
fuzz-coverage:
	$(run_fuzz) coverage $(TARGET)
clean-fuzz:
	rm -rf fuzz fuzz-coverage
.PHONY: fuzz fuzz-merge fuzz-coverage clean-fuzz

if ENABLE_TESTS
AM_CFLAGS += $(CRITERION_CFLAGS)
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif
TESTS += $(test_scripts)

EXTRA_DIST += $(test_scripts) $(test_data)

TEST_EXTENSIONS = .sh .py
# A test that hangs is a test that fails, and nothing of it stays behind.
TEST_TIMEOUT = 600
test_guard = timeout -k 10 $(TEST_TIMEOUT) $(sanitizer_guard)
if ENABLE_SANITIZERS
sanitizer_guard = $(BASH_PROGRAM) $(top_srcdir)/tests/sanitizer-guard.sh
endif
LOG_COMPILER = $(test_guard)
SH_LOG_COMPILER = $(test_guard) $(BASH_PROGRAM)
PY_LOG_COMPILER = $(test_guard) $(PYTHON3)
AM_TESTS_ENVIRONMENT = \
  top_srcdir='$(abs_top_srcdir)'; export top_srcdir; \
  top_builddir='$(abs_top_builddir)'; export top_builddir; \
  MALLOCD_PLUGIN_DIR='$(LOADABLE_DIR)'; export MALLOCD_PLUGIN_DIR; \
  CC='$(CC)'; export CC; \
  PYTHONDONTWRITEBYTECODE=1; export PYTHONDONTWRITEBYTECODE;

# What the tests run; needs --enable-coverage. With clang: the branches of what must be covered, by unit
# tests and simulated worlds alone (doc/coverage.md); with gcc: the lines of core and plugins, by all tests.
coverage: coverage-$(coverage_of)
coverage-branches: all
	@$(MAKE) $(AM_MAKEFLAGS) $(unit_tests)
	@$(AM_TESTS_ENVIRONMENT) $(BASH_PROGRAM) $(srcdir)/tests/coverage/branches.sh $(unit_tests)
coverage-lines: check
	@$(BASH_PROGRAM) $(srcdir)/tests/coverage/lines.sh
coverage-:
	@echo "configure --enable-coverage first" >&2; exit 1
clean-coverage:
	find . -name '*.gcda' -o -name '*.gcno' | xargs rm -f
	rm -rf coverage-data
.PHONY: coverage coverage- coverage-branches coverage-lines clean-coverage
if ENABLE_COVERAGE
clean_coverage = clean-coverage
endif

# Measures, run by hand: built with the tests, not installed.
check_PROGRAMS += tests/bench/bench-alloc
tests_bench_bench_alloc_LDADD = core/libmallocd-all.la $(DEPS_LIBS)
check_PROGRAMS += tests/bench/bench-madcap
tests_bench_bench_madcap_SOURCES = tests/bench/bench-madcap.c tests/bench/load.c tests/bench/load.h
tests_bench_bench_madcap_LDADD = plugins/madcap/libmadcap.la core/libmallocd-all.la $(DEPS_LIBS) -lm

# The whole table, within eight minutes, in network namespaces of its own; make bench BENCH=--quick, or
# BENCH='--json FILE' for who wants to compute with it.
BENCH =
bench: all
	$(MAKE) $(AM_MAKEFLAGS) check TESTS=
	PYTHON3='$(PYTHON3)' PYTHONDONTWRITEBYTECODE=1 \
	  bash $(srcdir)/tests/bench/run.sh --all --builddir . $(BENCH)
.PHONY: bench
