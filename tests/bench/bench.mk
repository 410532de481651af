# Included by Makefile.am.

# How fast AIS is, beside a yardstick and its neighbours; see tests/bench/README.
# What is measured goes to bench.json and bench.svg.
EXTRA_PROGRAMS += tests/bench/floor tests/bench/warm-ssh \
	tests/bench/warm-remctl
CLEANFILES += tests/bench/floor$(EXEEXT) tests/bench/warm-ssh$(EXEEXT) \
	tests/bench/warm-remctl$(EXEEXT) bench.json bench.svg bench-far.json
tests_bench_floor_CPPFLAGS =
tests_bench_floor_CFLAGS = $(AIS_WARNING_CFLAGS) $(OPENSSL_CFLAGS)
tests_bench_floor_LDFLAGS =
tests_bench_floor_LDADD = $(OPENSSL_LIBS)
tests_bench_warm_ssh_SOURCES = tests/bench/warm-ssh.c
tests_bench_warm_ssh_CPPFLAGS =
tests_bench_warm_ssh_CFLAGS = $(AIS_WARNING_CFLAGS) $(LIBSSH_CFLAGS)
tests_bench_warm_ssh_LDFLAGS =
tests_bench_warm_ssh_LDADD = $(LIBSSH_LIBS)
tests_bench_warm_remctl_SOURCES = tests/bench/warm-remctl.c
tests_bench_warm_remctl_CPPFLAGS =
tests_bench_warm_remctl_CFLAGS = $(AIS_WARNING_CFLAGS) $(LIBREMCTL_CFLAGS)
tests_bench_warm_remctl_LDFLAGS =
tests_bench_warm_remctl_LDADD = $(LIBREMCTL_LIBS)
bench_drivers = tests/bench/floor$(EXEEXT)
if HAVE_LIBSSH
bench_drivers += tests/bench/warm-ssh$(EXEEXT)
endif
if HAVE_LIBREMCTL
bench_drivers += tests/bench/warm-remctl$(EXEEXT)
endif
BENCH_FLAGS =
bench_run = @AIS_SRCDIR='$(abs_top_srcdir)' \
	AIS_BUILDDIR='$(abs_top_builddir)' PYTHONDONTWRITEBYTECODE=1 \
	$(bench_interpreter) $(srcdir)/tests/bench/bench.py \
	--json bench.json --chart bench.svg $(BENCH_FLAGS)
bench_interpreter = python3
bench: all $(bench_drivers)
	$(bench_run)
bench-quick: all $(bench_drivers)
	$(bench_run) --quick
bench-instructions: all
	@AIS_SRCDIR='$(abs_top_srcdir)' AIS_BUILDDIR='$(abs_top_builddir)' \
	PYTHONDONTWRITEBYTECODE=1 $(bench_interpreter) \
	$(srcdir)/tests/bench/instructions.py --write
# AIS, OpenSSH and plain TCP over a long path.
bench-far: all tests/path$(EXEEXT)
	@AIS_SRCDIR='$(abs_top_srcdir)' AIS_BUILDDIR='$(abs_top_builddir)' \
	PYTHONDONTWRITEBYTECODE=1 $(bench_interpreter) \
	$(srcdir)/tests/bench/far.py --json bench-far.json $(BENCH_FLAGS)
# What an attack on the door costs a good client, as SECURITY.md has it.
bench-attack: all
	@AIS_SRCDIR='$(abs_top_srcdir)' AIS_BUILDDIR='$(abs_top_builddir)' \
	PYTHONDONTWRITEBYTECODE=1 $(bench_interpreter) \
	$(srcdir)/tests/bench/attacked.py
.PHONY: bench bench-far bench-quick bench-instructions bench-attack
