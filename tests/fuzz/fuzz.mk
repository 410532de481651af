# Included by Makefile.am.

# Fuzz targets, one a decoder.  Each is tests/fuzz/NAME_fuzz.c, with seeds in
# tests/fuzz/corpus/NAME.  With libFuzzer they run for "make fuzz", and without
# it replay.c makes tests of them; see HACKING.md.
fuzz_targets = \
	tests/fuzz/body_fuzz \
	tests/fuzz/client_conf_fuzz \
	tests/fuzz/conf_fuzz \
	tests/fuzz/frame_client_fuzz \
	tests/fuzz/frame_server_fuzz \
	tests/fuzz/identity_fuzz \
	tests/fuzz/log_fuzz \
	tests/fuzz/pattern_fuzz \
	tests/fuzz/request_fuzz \
	tests/fuzz/rules_fuzz \
	tests/fuzz/session_fuzz \
	tests/fuzz/words_fuzz
fuzz_common = tests/fuzz/fuzz.c tests/fuzz/fuzz.h
if ENABLE_FUZZING
EXTRA_PROGRAMS = $(fuzz_targets)
CLEANFILES += $(fuzz_targets)
fuzz_flags = $(AM_LDFLAGS) $(AIS_FUZZ_LDFLAGS)
else
EXTRA_PROGRAMS =
check_PROGRAMS += $(fuzz_targets)
CLEANFILES += tests/fuzz/*.failed
fuzz_common += tests/fuzz/replay.c
fuzz_flags = $(AM_LDFLAGS)
endif
fuzz_wire = tests/fuzz/wire.c tests/fuzz/wire.h
fuzz_accounts = -Wl,--wrap=account_find,--wrap=account_self
tests_fuzz_body_fuzz_SOURCES = tests/fuzz/body_fuzz.c $(fuzz_common)
tests_fuzz_body_fuzz_LDADD = $(daemon_libs)
tests_fuzz_body_fuzz_LDFLAGS = $(fuzz_flags)
tests_fuzz_client_conf_fuzz_SOURCES = tests/fuzz/client_conf_fuzz.c \
	$(fuzz_common)
tests_fuzz_client_conf_fuzz_LDADD = $(client_libs)
tests_fuzz_client_conf_fuzz_LDFLAGS = $(fuzz_flags)
tests_fuzz_conf_fuzz_SOURCES = tests/fuzz/conf_fuzz.c tests/fuzz/accounts.c \
	$(fuzz_common)
tests_fuzz_conf_fuzz_LDADD = $(daemon_libs)
tests_fuzz_conf_fuzz_LDFLAGS = $(fuzz_flags) $(fuzz_accounts)
tests_fuzz_frame_client_fuzz_SOURCES = tests/fuzz/frame_client_fuzz.c \
	tests/fuzz/frames.h $(fuzz_common)
tests_fuzz_frame_client_fuzz_LDADD = $(client_libs)
tests_fuzz_frame_client_fuzz_LDFLAGS = $(fuzz_flags)
tests_fuzz_frame_server_fuzz_SOURCES = tests/fuzz/frame_server_fuzz.c \
	tests/fuzz/frames.h $(fuzz_common)
tests_fuzz_frame_server_fuzz_LDADD = $(daemon_libs)
tests_fuzz_frame_server_fuzz_LDFLAGS = $(fuzz_flags)
tests_fuzz_identity_fuzz_SOURCES = tests/fuzz/identity_fuzz.c \
	tests/fuzz/pem.h $(fuzz_common)
tests_fuzz_identity_fuzz_LDADD = $(daemon_libs)
tests_fuzz_identity_fuzz_LDFLAGS = $(fuzz_flags)
tests_fuzz_log_fuzz_SOURCES = tests/fuzz/log_fuzz.c $(fuzz_common)
tests_fuzz_log_fuzz_LDADD = $(daemon_libs)
tests_fuzz_log_fuzz_LDFLAGS = $(fuzz_flags)
tests_fuzz_pattern_fuzz_SOURCES = tests/fuzz/pattern_fuzz.c $(fuzz_common)
tests_fuzz_pattern_fuzz_LDADD = $(daemon_libs)
tests_fuzz_pattern_fuzz_LDFLAGS = $(fuzz_flags)
tests_fuzz_request_fuzz_SOURCES = tests/fuzz/request_fuzz.c $(fuzz_wire) \
	$(fuzz_common)
tests_fuzz_request_fuzz_LDADD = $(client_libs)
tests_fuzz_request_fuzz_LDFLAGS = $(fuzz_flags) \
	-Wl,--wrap=pollset_wait,--wrap=connect_host,--wrap=outcome_say
tests_fuzz_rules_fuzz_SOURCES = tests/fuzz/rules_fuzz.c \
	tests/fuzz/accounts.c $(fuzz_common)
tests_fuzz_rules_fuzz_LDADD = $(daemon_libs)
tests_fuzz_rules_fuzz_LDFLAGS = $(fuzz_flags) $(fuzz_accounts)
tests_fuzz_session_fuzz_SOURCES = tests/fuzz/session_fuzz.c \
	tests/fuzz/children.c tests/fuzz/children.h tests/fuzz/talk.c \
	tests/fuzz/talk.h tests/fuzz/accounts.c $(fuzz_wire) $(fuzz_common)
tests_fuzz_session_fuzz_LDADD = $(daemon_libs)
tests_fuzz_session_fuzz_LDFLAGS = $(fuzz_flags) $(fuzz_accounts)
tests_fuzz_words_fuzz_SOURCES = tests/fuzz/words_fuzz.c $(fuzz_common)
tests_fuzz_words_fuzz_LDADD = $(daemon_libs)
tests_fuzz_words_fuzz_LDFLAGS = $(fuzz_flags)
FUZZ_SECONDS = 60
FUZZ_TARGET = $(fuzz_targets)
if ENABLE_FUZZING
fuzz: $(fuzz_targets)
	$(AM_V_at)$(srcdir)/tests/fuzz/run '$(srcdir)' '$(FUZZ_SECONDS)' \
		$(FUZZ_TARGET)
else
fuzz:
	@echo 'This build has no libFuzzer.  In another directory, do:' >&2; \
	echo "  $(abs_top_srcdir)/configure --enable-fuzzing CC=clang" >&2; \
	exit 1
endif
.PHONY: fuzz
