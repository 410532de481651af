# Included by Makefile.am.

# Unit tests, one a module.  Each is tests/unit/MODULE_test.c.
LDADD = libaisd.a libaisc.a $(common_libs) $(LIBSYSTEMD_LIBS) \
	$(CMOCKA_LIBS) $(unit_libs)
unit_tests = \
	tests/unit/admission_test \
	tests/unit/arena_test \
	tests/unit/audit_test \
	tests/unit/body_test \
	tests/unit/buf_test \
	tests/unit/child_test \
	tests/unit/client_connect_test \
	tests/unit/client_outcome_test \
	tests/unit/client_outlet_test \
	tests/unit/client_settings_test \
	tests/unit/clock_test \
	tests/unit/command_test \
	tests/unit/conf_test \
	tests/unit/credit_test \
	tests/unit/datagram_test \
	tests/unit/date_test \
	tests/unit/endpoint_test \
	tests/unit/failure_test \
	tests/unit/fd_test \
	tests/unit/frame_test \
	tests/unit/intake_test \
	tests/unit/journal_test \
	tests/unit/json_test \
	tests/unit/conn_test \
	tests/unit/log_test \
	tests/unit/logfile_test \
	tests/unit/logjson_test \
	tests/unit/net_test \
	tests/unit/notify_test \
	tests/unit/number_test \
	tests/unit/pattern_test \
	tests/unit/penalty_test \
	tests/unit/policy_test \
	tests/unit/pollset_test \
	tests/unit/retry_test \
	tests/unit/privilege_test \
	tests/unit/request_test \
	tests/unit/rules_test \
	tests/unit/service_test \
	tests/unit/session_test \
	tests/unit/session_frames_test \
	tests/unit/credential_test \
	tests/unit/settings_test \
	tests/unit/stream_test \
	tests/unit/syslog_test \
	tests/unit/text_test \
	tests/unit/cert_test \
	tests/unit/context_test \
	tests/unit/verify_test \
	tests/unit/tls_test \
	tests/unit/tree_test \
	tests/unit/trust_test \
	tests/unit/certwatch_test \
	tests/unit/words_test
tests_unit_command_test_SOURCES = tests/unit/command_test.c $(sessions)
tests_unit_request_test_SOURCES = tests/unit/request_test.c $(sessions)
tests_unit_session_test_SOURCES = tests/unit/session_test.c $(sessions)
tests_unit_session_frames_test_SOURCES = \
	tests/unit/session_frames_test.c $(sessions)
sessions = tests/unit/sessions.c tests/unit/sessions.h
# The daemon has functions of the same names.
tests_unit_client_connect_test_LDADD = $(client_libs) $(CMOCKA_LIBS) \
	$(unit_libs)
tests_unit_client_connect_test_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=getaddrinfo,--wrap=freeaddrinfo,--wrap=pthread_create
tests_unit_client_outcome_test_LDADD = $(client_libs) $(CMOCKA_LIBS) \
	$(unit_libs)
tests_unit_client_outlet_test_LDADD = $(client_libs) $(CMOCKA_LIBS) \
	$(unit_libs)
tests_unit_client_settings_test_LDADD = $(client_libs) $(CMOCKA_LIBS) \
	$(unit_libs)
# Allocations go through tests/unit/memory.c, which can let them fail.
check_LIBRARIES = tests/unit/libunit.a
tests_unit_libunit_a_SOURCES = tests/unit/memory.c tests/unit/memory.h \
	tests/unit/json-read.c tests/unit/json-read.h
unit_libs = tests/unit/libunit.a $(AIS_WRAP_MEMORY)
if HAVE_CMOCKA
check_PROGRAMS += $(unit_tests)
endif
