# SPDX-License-Identifier: ISC
"""Every call of aisd can be made to fail, and a test does so.

What it asks of the system is what nm(1) lists as undefined.  Each is
a row of the table in tests/fault/inject.c that a test arms, or stands below
with the reason why there is nothing to arm.
"""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

import test_client_faults
import test_faults
import test_start_faults

# Why a call needs no row: it has no error, or asks for nothing but memory,
# which the row of that name denies.
NO_ROW = {
    "of the compiler and of libc's start": """
        _ITM_deregisterTMCloneTable _ITM_registerTMCloneTable __cxa_finalize
        __gmon_start__ __libc_start_main __errno_location __stack_chk_fail
        __assert_fail _exit abort __libc_current_sigrtmin
        __libc_current_sigrtmax""",
    "text and memory, without a system call": """
        memchr memcmp memcpy memmove memset strcasecmp strchr strcmp strcspn
        strerror strlen strncasecmp strncmp strnlen strpbrk strrchr strsep
        strspn strstr strtod strtol strtoll strtoul snprintf vsnprintf qsort
        qsort_r free alphasort dirname strptime strftime gmtime_r localtime_r
        inet_ntop inet_pton gai_strerror sigabbrev_np getopt_long getenv tzset
        regexec regerror regfree""",
    "asks for memory alone": """
        strdup strndup asprintf regcomp fmemopen""",
    "moves within a stream that is in memory, or that a read shows to be "
    "elsewhere": """
        fseek ftell rewind""",
    "gives back what was had, and its answer is not asked": """
        closedir freeaddrinfo malloc_trim madvise dl_iterate_phdr""",
    "cannot fail, by its page": """
        getpid getppid getpgrp getuid getgid geteuid getegid umask dirfd
        fileno ferror sysconf time sigemptyset sigaddset sigdelset
        signal""",
    "is called to be refused: success is the fault, and ends the start": """
        setuid setgid seteuid""",
    "of libconfig, which opens nothing by itself: it is handed a stream": """
        config_destroy config_init config_read_file config_read_string
        config_set_include_dir
        config_setting_get_bool config_setting_get_elem
        config_setting_get_float config_setting_get_int64
        config_setting_get_member config_setting_get_string
        config_setting_length""",
    "of --explain: that it fails is the answer that there is no program":
        """
        faccessat realpath""",
    "reads a stream that fopen(3) has opened, which is a row": """
        fgetgrent""",
    "of libsystemd, whose calls are rows themselves; what a manager is not "
    "told, it finds out: tests/systemd": """
        sd_listen_fds sd_notify sd_watchdog_enabled""",
}

# Rows that have another name.
NAMES = {"malloc": "memory", "calloc": "memory", "realloc": "memory",
         "vfork": "fork", "puts": "fputs", "printf": "fprintf",
         "putc": "fputc", "openat": "open"}

# Rows that other tests arm, or whose every error is made by real means: the
# file, and what must stand there.
ELSEWHERE = {
    "poll": ("tests/e2e/test_client_faults.py", '"poll"'),
    "connect": ("tests/unit/datagram_test.c", "connect"),
    "send": ("tests/unit/datagram_test.c", "send"),
    "sendmsg": ("tests/unit/datagram_test.c", "send"),
    "getsockopt": ("tests/e2e/test_client_faults.py", '"getsockopt"'),
    "fflush": ("tests/e2e/test_client_faults.py", "/dev/full"),
}


def wanted(path):
    """What a program asks of libraries that are not OpenSSL's, by the plain
    name: "__fprintf_chk" is fprintf(3)."""
    if not shutil.which("nm"):
        pytest.skip("needs nm")
    done = subprocess.run(["nm", "-D", "-u", path], capture_output=True,
                          check=True, text=True)
    names = [line.split()[-1] for line in done.stdout.splitlines()]
    return {re.sub(r"^__(.*?)_(chk|2)$", r"\1", name.partition("@")[0])
            for name in names if "@OPENSSL" not in name} - {"stack"}


def rows(srcdir):
    """The table of inject.c."""
    text = (srcdir / "tests" / "fault" / "inject.c").read_text()
    table = re.search(r"#define CALLS\(X\)(.*?)\n\n", text, re.S)[1]
    return set(re.findall(r"X\((\w+)\)", table))


def armed(*modules):
    """The rows that the tests of these modules arm."""
    found = set()
    for module in modules:
        found |= set(module.CALLS)
        found |= {call for _, call, _ in getattr(module, "WORK", [])}
        found |= {call for call, _ in getattr(module, "OF_ANSWERS", [])}
        for name in "IN_A_SESSION", "OF_DIRECTORIES":
            found |= set(getattr(module, name, []))
        text = pathlib.Path(module.__file__).read_text()
        found |= set(re.findall(r'arm(?:ed)?\(\s*"(\w+)"', text))
    return found


def missing(program, srcdir, *modules):
    path, = program("aisd")
    without = {word for words in NO_ROW.values() for word in words.split()}
    calls = {NAMES.get(call, call)
             for call in wanted(path) - without - {"stack_chk_fail"}}
    elsewhere = {call for call, (file, word) in ELSEWHERE.items()
                 if word in (srcdir / file).read_text()}
    return {f"{call}: no row in tests/fault/inject.c, and no reason in "
            f"{os.path.basename(__file__)}" for call in calls - rows(srcdir)
            } | {f"{call}: no test lets it fail" for call in
                 (calls & rows(srcdir)) - armed(*modules) - elsewhere}


def test_every_call_of_aisd(measurable, program, srcdir):
    """A call that is new in the program is new here."""
    assert not missing(program, srcdir, test_faults, test_start_faults)


def test_the_comparison_itself(measurable, program, srcdir):
    """It would see a call that no test knows."""
    assert {"open", "read", "fork", "vfork"} & wanted(*program("aisd"))
    found = missing(program, srcdir, test_client_faults)
    assert "setresuid: no test lets it fail" in found
