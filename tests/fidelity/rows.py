# SPDX-License-Identifier: ISC
"""The table: programs, scripts and habits, and how each is to be called.

Each row runs as ways.py says, and has to do the same in every way, but for
what its "differs" names with the page that says so.  In texts @bin@, @work@,
@own@ and @fixed@ are the folders of ways.Place: of the rows' programs, the
one in which commands begin, and two with the files of "tree", of which the
command user owns the first and cannot change the second.
"""

import os
import pathlib
import re
import shlex
import shutil
from dataclasses import dataclass, field
from typing import NamedTuple

SYSTEM = "/usr/sbin:/usr/bin:/sbin:/bin"
OURS = ("anything", "path", "last", "name", "line", "shell")
PLUGINS = "/usr/lib/nagios/plugins"


class Slot(NamedTuple):
    """A path that the rule gives a slot for, below one of two folders."""
    path: str
    own: bool = False


class Differs(NamedTuple):
    """The parts of a result that are not as they are plainly: "status",
    "out", "err", "files"; the page that says so; words of that page, or, for
    a page that is not ours, why; and whether this is so only where commands
    have a user of their own."""
    parts: str
    page: str
    words: str
    two_users: bool = False


@dataclass
class Row:
    name: str
    program: str = None     # A path, or the name of one of "files".
    args: tuple = ()        # Text, or Slots.
    line: str = ""          # Instead of a program: a line for a shell.
    stdin: bytes = None     # None is /dev/null.
    files: dict = field(default_factory=dict)   # Of its own folder in @bin@.
    work: dict = field(default_factory=dict)    # Where it begins.
    tree: dict = field(default_factory=dict)    # In @own@ and in @fixed@/NAME.
    needs: tuple = ()       # Programs, by name or path.
    differs: dict = field(default_factory=dict)     # By the name of a way.
    without: dict = field(default_factory=dict)     # Ways: why not.
    normal: object = bytes  # Makes bytes that may differ the same.
    merged: bool = False    # Both outputs are one pipe.
    leaves: float = 0       # How long to wait for what it leaves behind.
    holds: float = 0        # For how long that keeps the outputs open.
    pinned: bool = None     # In its slots.
    fit: bool = True        # Its files are good programs.

    def missing(self):
        """What it needs and is not there, or None."""
        wanted = [*self.needs, *(self.interpreters() if self.fit else [])]
        if self.program and self.program.startswith("/"):
            wanted.append(self.program)
        for name in wanted:
            if not (os.path.exists(name) if "/" in name
                    else shutil.which(name, path=SYSTEM)):
                return name
        return None

    def interpreters(self):
        """What the first lines of its scripts name, if it has to be there."""
        for content in self.files.values():
            text = content[0] if isinstance(content, tuple) else content
            if isinstance(text, str) and text.startswith("#!/"):
                words = text[2:].split("\n")[0].split()
                yield words[0]
                if words[0] == "/usr/bin/env":
                    yield words[2] if words[1] == "-S" else words[1]


ROWS = []


def row(name, *args, **how):
    assert all(name != other.name for other in ROWS), name
    ROWS.append(Row(name, *args, **how))


def script(name, text, args=(), more=None, mode=0o755, **how):
    """A row that is a script, called as the row is."""
    file = f"run-{name}"
    row(name, file, args, files={file: (text, mode), **(more or {})}, **how)


def system(name, words, **how):
    """A row that is a program of the system: words, of which the first is its
    path, and which may be Slots."""
    words = shlex.split(words) if isinstance(words, str) else words
    row(name, words[0], tuple(words[1:]), **how)


def swap(pattern, new):
    """A "normal" that replaces what differs from run to run."""
    return lambda data: re.sub(pattern, new, data)


# How ends by a signal differ.

# Of a signal that nobody sends by hand aisc says a word, and sh of most.
SAID = ("ABRT", "KILL", "SEGV", "ALRM", "USR1")
SH_SAYS = {"shell": Differs("err", "sh(1)", "says which signal it was")}
QUIET = {"sshd": Differs("status", "ssh(1)", "255 for every signal")}
SIGNAL = {**QUIET, **{way: Differs("err", "aisc(1)", "the command was ended "
                                   "by signal N") for way in
                      ("anything", "bare", "path", "last", "name", "line")},
          **SH_SAYS}


# Interpreters.  Each says its name, its arguments and its input, complains,
# leaves a file behind, and ends with 3.

ARGS = ("one", "two words", "-x")
INPUT = b"some\ninput\n"
AWK = '''BEGIN {{
	for (i = 1; i < ARGC; i++) printf "%s|", ARGV[i]
	ARGC = 1
	print "err" > "/dev/stderr"
	print "x" > "made"
}}
{{ print }}
END {{ exit 3 }}
'''
SHELL = '''printf '%s|' "$0" "$@"
echo
while read line
do
	echo "$line"
done
echo err >&2
echo x >made
exit 3
'''


def interpreter(name, line, text, args=ARGS, **how):
    script(name, line + "\n" + text, args, stdin=INPUT, **how)


for NAME, PATH in (("sh", "/bin/sh"), ("dash", "/bin/dash"),
                   ("bash", "/bin/bash"), ("zsh", "/usr/bin/zsh"),
                   ("mksh", "/bin/mksh"), ("ksh93", "/bin/ksh93"),
                   ("sh-e", "/bin/sh -e"), ("bash-eu", "/bin/bash -eu"),
                   ("busybox-sh", "/bin/busybox sh"),
                   ("env-bash", "/usr/bin/env bash"),
                   ("env-S-bash", "/usr/bin/env -S bash -u")):
    interpreter(NAME, "#!" + PATH, SHELL)
interpreter("no-blank-interpreter", "#! /bin/sh", SHELL)
interpreter("fish", "#!/usr/bin/fish", '''printf '%s|' (status filename) $argv
echo
cat
echo err >&2
echo x >made
exit 3
''')
interpreter("tcsh", "#!/bin/tcsh -f", '''printf '%s|' "$0" $argv:q
echo
cat
sh -c 'echo err >&2'
echo x >made
exit 3
''')
PERL = '''print "$0|", join("|", @ARGV), "\\n";
print while <STDIN>;
print STDERR "err\\n";
open(my $f, ">", "made"); print $f "x\\n"; close($f);
exit 3;
'''
interpreter("perl", "#!/usr/bin/perl", PERL)
interpreter("perl-w", "#!/usr/bin/perl -wT", PERL)
interpreter("env-perl", "#!/usr/bin/env perl", PERL)
interpreter("env-S-perl", "#!/usr/bin/env -S perl -w", PERL)
script("perl-data", '''#!/usr/bin/perl
use FindBin; use lib $FindBin::Bin;
require "lib.pl";
print "$FindBin::Bin $FindBin::Script ", lib(), "\\n", <DATA>;
__DATA__
these lines
''', more={"lib.pl": 'sub lib { return __FILE__ }\n1;\n'})
PYTHON = '''import sys
print("|".join(sys.argv), sys.stdin.read(), flush=True)
print("err", file=sys.stderr)
with open("made", "w") as f:
    print("x", file=f)
sys.exit(3)
'''
interpreter("python3", "#!/usr/bin/python3", PYTHON)
interpreter("python3-I", "#!/usr/bin/python3 -I", PYTHON)
interpreter("env-python3", "#!/usr/bin/env python3", PYTHON)
interpreter("ruby", "#!/usr/bin/ruby", '''puts ([$0] + ARGV).join("|")
puts STDIN.read
STDOUT.flush
warn "err"
File.write("made", "x\\n")
exit 3
''')
interpreter("php", "#!/usr/bin/php", '''<?php
echo implode("|", $argv), "\\n", stream_get_contents(STDIN);
fwrite(STDERR, "err\\n");
file_put_contents("made", "x\\n");
exit(3);
''')
interpreter("lua", "#!/usr/bin/lua5.4", '''print(arg[0], table.unpack(arg))
io.write(io.read("a"))
io.stderr:write("err\\n")
io.open("made", "w"):write("x\\n"):close()
os.exit(3)
''')
TCL = '''puts "$argv0|[join $argv |]"
puts [read stdin]
puts stderr err
set f [open made w]
puts $f x
close $f
exit 3
'''
interpreter("tcl", "#!/usr/bin/tclsh", TCL)
interpreter("expect", "#!/usr/bin/expect -f", '''puts "$argv0"
spawn -noecho sh -c {echo ready; read word; echo "got $word"; tty | cut -c1-8}
expect ready
send "hello\\r"
expect eof
exit 3
''')
for NAME, LINE in (("gawk", "/usr/bin/gawk -f"), ("mawk", "/usr/bin/mawk -f"),
                   ("original-awk", "/usr/bin/original-awk -f"),
                   ("busybox-awk", "/usr/bin/env -S busybox awk -f")):
    interpreter(NAME, "#!" + LINE, AWK.format(), ("one", "two words"))
interpreter("make", "#!/usr/bin/make -f", '''MAKEFLAGS += --no-print-directory
target: other
	@echo "$@ of $(lastword $(MAKEFILE_LIST)) after $<"
	@cat >$@
	@echo err >&2
other:
	@touch $@; false || exit 0
''', ("target",))
interpreter("sed", "#!/bin/sed -f", "s/some/any/\n/input/{=;q}\n", ())
interpreter("bc", "#!/usr/bin/bc -q", "scale=4\n1/3\nquit\n", ())
interpreter("cat", "#!/bin/cat", "its own text\n", ())
script("interpreter-is-script", "#!@bin@/interpreter-is-script/inner.sh a\n",
       ("b",), {"inner.sh": ('#!/bin/sh\nprintf "%s|" "$@"\n', 0o755)})
script("long-first-line", "#!/bin/sh -e" + " " * 200 + "\necho ok\n")

# Files that are no programs.  Plainly execve(2) fails, and 126 stands for it.

NO_LINE = "cannot execute NAME: Exec format error"
DENIED = "cannot execute NAME: Permission denied"
NO_INTERPRETER = "the interpreter in its first line, or its loader, is"
UNFIT = {way: "a shell has its own words for it"
         for way in ("shell", "sshd")}


def unfit(name, text, words, mode=0o755, more=None, program=None, **how):
    row(name, program or name, ("x",), files={name: (text, mode)}
        if more is None else more, fit=False, without=UNFIT,
        differs={way: Differs("err", "aisd(8)", words) for way in
                 ("anything", "path", "last", "name", "line")}, **how)


unfit("no-first-line", "echo hello\n", NO_LINE)
unfit("empty", "", NO_LINE)
unfit("byte-order-mark", "\ufeff#!/bin/sh\necho hello\n", NO_LINE)
unfit("carriage-returns", "#!/bin/sh\r\necho hello\r\n", NO_INTERPRETER)
unfit("no-interpreter", "#!/usr/bin/no-such-thing\n", NO_INTERPRETER)
unfit("interpreter-is-directory", "#!/usr/bin\n", DENIED)
unfit("not-executable", "#!/bin/sh\necho hello\n", DENIED, mode=0o644)
unfit("garbage", b"\x7fELF\x02\x01\x01" + b"\0" * 57, NO_LINE)
unfit("a-directory", None, DENIED, more={"a-directory/x": ""})
row("shell-runs-no-first-line", line="@bin@/no-first-line/no-first-line x")
script("blank-in its-name", "#!/bin/sh\necho \"$0\"\n")
script("unicode-ü-name", "#!/bin/sh\necho \"$0\"\n",
       without={"sshd": "the locale of this login"})
row("found-by-name", "found-by-name",
    files={"found-by-name": ('#!/bin/sh\necho "$0"\nreadlink -f "$0"\n',
                             0o755)})

# Monitoring plugins of Debian.

LOG = "line one\nERROR two\n"
system("check_log", f"{PLUGINS}/check_log -F log -O old -q ERROR",
       work={"log": LOG, "old": "line one\n"})
system("check_log-first", f"{PLUGINS}/check_log -F log -O old -q ERROR",
       work={"log": LOG})
system("check_file_age", f"{PLUGINS}/check_file_age -w 1000 -c 2000 -f log",
       work={"log": LOG}, normal=swap(rb"[0-9]+ seconds old|age=[0-9]+s", b"N"))
system("check_file_age-none", f"{PLUGINS}/check_file_age -f no-such-file")
system("check_ircd", f"{PLUGINS}/check_ircd -h")
system("check_sensors", f"{PLUGINS}/check_sensors")
system("check_dummy", f"{PLUGINS}/check_dummy 2 something")
system("check_procs", f"{PLUGINS}/check_procs -c 1: -C no-such-process")
system("check_tcp", f"{PLUGINS}/check_tcp -H 127.0.0.1 -p 1 -t 2")
system("negate", f"{PLUGINS}/negate -s {PLUGINS}/check_dummy 0 fine")
script("plugin-perl", '#!/usr/bin/perl\nprint "CRITICAL\\n"; exit 2;\n')
script("plugin-utils", '''#! /bin/sh
PROGPATH=$(echo "$0" | sed -e 's,[\\/][^\\/][^\\/]*$,,')
. "$PROGPATH/utils.sh"
echo "state $STATE_CRITICAL"
exit $STATE_CRITICAL
''', more={"utils.sh": "STATE_CRITICAL=2\n"})

# Programs that look at their name and at their directory.

MULTI = '''#!/bin/sh
case ${0##*/} in
by-link) echo "as by-link $*" ;;
*) echo "called as $0"; exit 1 ;;
esac
'''
row("by-link", "by-link", ("a",), files={
    "multi": (MULTI, 0o755), "by-link": pathlib.Path("multi")})
row("busybox-link", "wc", ("-c",), stdin=INPUT, needs=("busybox",), files={
    "wc": pathlib.Path("/bin/busybox")})
script("lock-name", '''#!/bin/sh
lock=$(basename "$0").pid
echo "usage: $0 start|stop" >&2
echo lock >"$lock"
''')
script("lib-by-dirname", '#!/bin/sh\n. "$(dirname "$0")/lib.sh"\nhello\n',
       more={"lib.sh": "hello() { echo hello from lib; }\n"})
script("lib-by-BASH_SOURCE", '''#!/bin/bash
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
echo "$here"
source "$here/lib.sh"
''', more={"lib.sh": 'echo "$BASH_SOURCE"\n'})
script("lib-by-readlink", '''#!/bin/bash
echo "$(readlink -f "$0") $(realpath "$0")"
. "${0%/*}/lib.sh"
''', more={"lib.sh": "echo lib\n"})
script("zsh-directory", '#!/usr/bin/zsh\necho ${0:A:h} $ZSH_ARGZERO\n')
script("reads-itself", '''#!/bin/sh
sed '1,/^__END__$/d' "$0"
tail -n 1 <"$0"
exit 0
__END__
payload
''')
script("executes-itself", '''#!/bin/sh
if [ "$1" = again ]; then echo "again as $0"; exit 5; fi
exec "$0" again
''')
script("python-sibling", '''#!/usr/bin/python3
import os, sys
sys.dont_write_bytecode = True
import sibling
print(__file__, os.path.dirname(os.path.abspath(__file__)), sys.path[0])
print(sibling.__file__, open(os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "data")).read())
''', more={"sibling.py": "", "data": "some data"})
script("python-spawn", '''#!/usr/bin/python3
import multiprocessing
def work(n):
    return n * n
if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    with multiprocessing.Pool(1) as pool:
        print(pool.map(work, [2, 3]))
''')
script("python-traceback", '#!/usr/bin/python3\nraise SystemError("why")\n')
script("python-executable", '#!/usr/bin/python3\nimport sys\n'
       'print(sys.executable, sys.prefix, sys.orig_argv)\n')
row("venv", "bin/python3", ("-c", "import sys; print(sys.prefix, sys.argv)"),
    files={"bin/python3": pathlib.Path("/usr/bin/python3"),
           "pyvenv.cfg": "home = /usr/bin\n"})
script("perl-name", '''#!/usr/bin/perl
use File::Basename; use Cwd 'abs_path';
print basename($0), " ", abs_path($0), " ", dirname(__FILE__), "\\n";
warn "warned";
''')
script("ruby-relative", '#!/usr/bin/ruby\nrequire_relative "lib"\n'
       'puts __FILE__, __dir__, $PROGRAM_NAME == __FILE__\n',
       more={"lib.rb": 'puts "lib"\n'})
script("php-directory", '#!/usr/bin/php\n<?php\n'
       'echo __DIR__, $_SERVER["SCRIPT_NAME"], "\\n";\n'
       'require __DIR__ . "/lib.php";\n', more={"lib.php": "lib\n"})
script("its-own-cmdline", "#!/bin/sh\ntr '\\0' '|' </proc/$$/cmdline\n"
       "cat /proc/$$/comm\n")
script("ps", "#!/bin/sh\nps -o args= -p $$\n", needs=("ps",))
system("its-own-exe", "/usr/bin/readlink /proc/self/exe")
script("bash-error", "#!/bin/bash\nno-such-command\ncd /no/such\n")
script("sh-error", "#!/bin/sh\nno-such-command\n. /no/such\n")
script("sh-set-u", '#!/bin/sh\nset -eu\necho "$missing"\necho on\n')

# Descriptors.

system("descriptors", "/usr/bin/ls /proc/self/fd")
script("descriptors-of-script", '''#!/bin/sh
ls /proc/self/fd
ls /proc/$$/fd >list        # 10 is the script.
grep -v -x 10 list
''')
script("types-of-descriptors", '''#!/usr/bin/python3
import os, stat
for n in sorted(map(int, os.listdir("/proc/self/fd"))):
    try:
        print(n, stat.S_IFMT(os.fstat(n).st_mode), os.get_blocking(n))
    except OSError:
        pass
''', stdin=b"")
system("type-of-no-input", "/usr/bin/stat -L -c %F /dev/stdin",
       differs={"sshd": Differs("out", "sshd(8)", "it has a pipe")})
script("dev-stdout", '''#!/bin/sh
echo one >/dev/stdout
echo two >/dev/stderr
echo three | tee /dev/stderr
cat /dev/stdin
echo four >>/proc/self/fd/1
''', stdin=INPUT)
script("awk-dev-stderr", '''#!/usr/bin/mawk -f
BEGIN { print "a" >"/dev/stderr"; print "b" >"/dev/stdout"; print "c" }
''')
script("seek", '#!/usr/bin/python3\nimport os\nfor n in 1, 2:\n'
       '    try:\n        print(os.lseek(n, 0, os.SEEK_CUR))\n'
       '    except OSError as e:\n        print(e)\n')
script("lvs-like", '''#!/bin/sh
python3 -c '
import os
for n in range(3, 64):
    try:
        print("File descriptor", n, os.readlink("/proc/%d/fd/%d" %
              (os.getppid(), n)), "leaked")
    except OSError:
        pass
'
true
''')

# Terminal, session, signals, rights.

script("terminal", '''#!/bin/sh
tty
for n in 0 1 2; do test -t $n && echo "$n is one"; done
sh -c ': </dev/tty'
stty size
echo "${TERM-no TERM} ${COLUMNS-no COLUMNS}"
''')
script("session", '''#!/bin/sh
read -r pid comm state parent group session tty foreground rest </proc/$$/stat
[ $pid = $group ] && echo leads a group
[ $pid = $session ] && echo leads a session
echo "$tty $foreground"
''', differs={"shell": Differs("out", "sh(1)", "it is the shell that leads")})
system("signals", "/usr/bin/grep -E ^Sig(Ign|Blk|Cgt)|^ShdPnd /proc/self/status")
script("signals-of-perl", '''#!/usr/bin/perl
for my $s (sort keys %SIG) { print "$s=$SIG{$s}\\n" if $SIG{$s} }
kill "PIPE", $$; sleep 9;
''', differs={"sshd": Differs("status", "ssh(1)", "255 for every signal")})
system("rights", "/usr/bin/grep -E ^(Uid|Gid|Groups|Cap[^B]|NoNewPrivs) "
       "/proc/self/status", normal=bytes.rstrip,
       without={"sshd": "it does not set no_new_privs"})
system("id", "/usr/bin/id")
system("groups", "/usr/bin/id -Gn")
system("umask", "/usr/bin/sh -c umask", work={})
script("umask-of-files", "#!/bin/sh\numask\n>file\nmkdir folder\n")
script("environment", '''#!/bin/sh
env | grep -v -e ^_= -e ^PWD= -e ^OLDPWD= -e ^SHLVL= -e ^SSH_ -e ^MAIL= \\
    -e ^AIS_ | LC_ALL=C sort
''')
system("own-variables", "/usr/bin/env", normal=lambda data: b"\n".join(
    sorted(line.split(b"=")[0] for line in data.splitlines())),
    differs={way: Differs("out", "aisd.conf(5)", "say who the client is")
             for way in (*OURS, "bare")}, without={"sshd": "variables of sshd"})
script("where-it-begins", '#!/bin/sh\npwd -P\necho "$HOME"\ncd "$HOME"\n')
system("limits", "/usr/bin/sh -c 'ulimit -a'")
system("limits-of-bash", "/usr/bin/bash -c 'ulimit -a; ulimit -Ha'",
       differs={way: Differs("out", "aisd(8)", "leaves no core file either")
                for way in (*OURS, "bare")})
script("scheduling", '''#!/bin/sh
nice
cat /proc/self/oom_score_adj
chrt -p $$ | sed 's/.*: //'
ionice -p $$
nice -n 5 nice
ionice -c 3 true && echo ionice
taskset 1 true && echo taskset
chrt -b 0 true && echo chrt
''', needs=("chrt", "ionice", "taskset"))
script("renice", '#!/bin/sh\nrenice -n 3 $$ >/dev/null\nnice\n'
       'nice -n 4 nice\n', needs=("renice",), differs={way: Differs(
           "out err", "aisd.conf(5)", "keeps it from slowing the daemon down",
           True)
           for way in OURS})
system("locale", "/usr/bin/locale")
script("time-zone", '#!/bin/sh\ndate -d @0 +%H:%M\necho "${TZ-none}"\n')
system("sleep-and-time", "/usr/bin/timeout 5 sh -c 'sleep 0.01; echo slept'")
system("timeout-ends", "/usr/bin/timeout 0.1 sleep 5")
system("timeout-kills", "/usr/bin/timeout -s KILL 0.1 sleep 5",
       differs=SIGNAL)
system("stdbuf", "/usr/bin/stdbuf -oL tr a-z A-Z", stdin=INPUT)
system("nohup", "/usr/bin/nohup echo hello")
system("setsid-wait", "/usr/bin/setsid --wait sh -c 'exit 4'")
system("flock", "/usr/bin/flock lock sh -c 'echo locked; exit 3'")
system("env-i", "/usr/bin/env -i /usr/bin/env")
system("xargs", "/usr/bin/xargs -n 1 -P 2 echo", stdin=b"a")
script("mktemp", "#!/bin/sh\nf=$(mktemp) && echo ${f%.*} && rm $f\n")
system("script", ["/usr/bin/script", "-qec", "tty | cut -c1-9; exit 3",
                  "/dev/null"])
script("python-pty", '''#!/usr/bin/python3
import pty
print(pty.spawn(["sh", "-c", "test -t 0 && echo a terminal; exit 2"]) >> 8)
''')
system("unshare", "/usr/bin/unshare -U -r id -u")
script("ptrace", "#!/bin/sh\nstrace -qq -e trace=none true && echo traced\n",
       needs=("strace",))

# Arguments.

ODD = ("", " ", "a\nb", "-", "--", "-n", "*", "$HOME", "`id`", "'", '"', "\\",
       "a\tb", "ü", "\udcff\udcfe", "~", "#", "a=b", "!", "{}", "%s", ";")
PRINT = '#!/bin/sh\nprintf "%s\\0" "$@"\n'
script("arguments", PRINT, ODD)
script("no-arguments", '#!/bin/sh\necho $#\n')
script("empty-argument", '#!/bin/sh\necho $#\n', ("",))
script("first-is-dash", PRINT, ("-c", "--", "x"))
script("long-argument", PRINT, ("x" * 100000,))
script("many-arguments", PRINT, tuple(map(str, range(3000))))
system("dashes", "/usr/bin/echo -- -n --")
system("awk-program", ["/usr/bin/mawk", "-v", "x=a b", "BEGIN {print x; "
                       "exit 7}"])
system("sh-c", ["/usr/bin/sh", "-c", 'echo "$0 $*"; exit $1', "4", "5"])
system("find-exec", ["/usr/bin/find", ".", "-type", "f", "-exec", "cat", "{}",
                     ";"], work={"a/b": "text\n"})

# Processes.

script("background", '#!/bin/sh\n(sleep 3; echo late >late) '
       '</dev/null >/dev/null 2>&1 &\necho started\n', leaves=10,
       differs={way: Differs("files", "aisd.conf(5)",
                             "ends them at the end of the session")
                for way in OURS})
script("daemon", '''#!/bin/sh
setsid sh -c 'sleep 3; echo late >late' </dev/null >/dev/null 2>&1 &
echo "Starting: ok"
''', leaves=10, differs={way: Differs(
    "files", "aisd.conf(5)", "ends them at the end of the session")
    for way in OURS})
script("waits-for-children", '#!/bin/sh\n(sleep 0.05; echo a; echo x >made) & '
       '(until [ -s made ]; do sleep 0.01; done; echo b) & wait\necho c\n')
script("exec", '#!/bin/sh\necho before\nexec sh -c \'echo after; exit 6\'\n')
script("exec-twice", '#!/bin/sh\nexec perl -e \'exec "sh", "-c", '
       '"echo end; exit 9"\'\n')
script("closes-all", "#!/bin/sh\nexec <&- >&- 2>&-\nsleep 0.05\necho x "
       ">made\nexit 4\n", stdin=INPUT)
script("closes-output", '#!/bin/sh\nexec >&-\nsleep 0.05\necho err >&2\n'
       'echo x\nexit 4\n', stdin=INPUT)
script("ignores-signals", "#!/bin/sh\ntrap '' HUP INT TERM PIPE\n"
       "kill -TERM $$\nkill -HUP $$\necho alive\n")
script("double-fork", '''#!/usr/bin/python3
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(1, b"from below\\n")
        time.sleep(0.05)
        os.write(1, b"still\\n")
        os._exit(0)
    os._exit(0)
os.wait()
os._exit(5)
''')
script("tee", '''#!/bin/bash
exec > >(tee -a log) 2>&1
echo one
echo "ERROR: rolled back"
exit 1
''')
script("time-stamps", '''#!/bin/bash
exec > >(while read -r line; do sleep 0.02; echo "at $line"; done | tee log)
echo one
echo two
exit 1
''')
script("stderr-filter", '''#!/bin/bash
exec 2> >(sed 's/^/E: /' >&2)
echo out
echo err >&2
exit 2
''')
script("python-helper", '''#!/usr/bin/python3
import subprocess, sys
p = subprocess.Popen(["sh", "-c", "sleep 0.05; cat; echo end"],
                     stdin=subprocess.PIPE)
p.stdin.write(b"text\\n")
p.stdin.close()
sys.exit(3)
''')
script("late-helper", "#!/bin/sh\n(sleep 0.1; echo late; echo err >&2; "
       "echo x >made) &\necho main\nexit 1\n")
script("holds-output", '#!/bin/sh\nsleep 20 &\necho started\nexit 7\n',
       leaves=0.01, holds=0.7,
       without={"sshd": "it waits for the end of the output"})
script("first-thread-ends", '''#!/usr/bin/python3
import ctypes, os, threading, time
def work():
    time.sleep(0.1)
    os.write(1, b"from a thread\\n")
    with open("made", "w") as f:
        f.write("x")
    os._exit(3)
threading.Thread(target=work).start()
ctypes.CDLL(None).syscall(60, 0)
''', needs=("/lib64/ld-linux-x86-64.so.2",))
script("threads-left", '''#!/usr/bin/python3
import os, threading, time
for n in range(8):
    threading.Thread(target=time.sleep, args=(30,)).start()
print("done", flush=True)
os._exit(4)
''')
script("zombies", '#!/usr/bin/perl\nfor (1..20) { exit 0 unless fork }\n'
       'print "done\\n"; exit 2;\n')
script("orphans", '#!/bin/sh\nfor i in 1 2 3; do (sleep 0.05; sh -c '
       '"sleep 0.02; echo $i >file$i") & done\nwait\n')
script("coprocess", '#!/bin/bash\ncoproc cat\necho hello >&${COPROC[1]}\n'
       'read -r line <&${COPROC[0]}\necho "got $line"\n')
script("fifo", '#!/bin/sh\nmkfifo f\necho hello >f &\ncat f\nrm f\nwait\n')
script("waitpid", '#!/usr/bin/perl\nmy $p = fork; exit 9 unless $p;\n'
       'waitpid($p, 0); print $? >> 8, "\\n"; print wait(), "\\n";\n')

# Streams.

script("reads-late", "#!/bin/sh\nsleep 0.1\ncat\n", stdin=INPUT)
script("reads-not", "#!/bin/sh\necho hello\n", stdin=b"x" * 1000000)
script("reads-a-line", "#!/bin/sh\nread line\necho \"$line\"\n",
       stdin=b"first\n" + b"x" * 1000000)
script("closes-input", "#!/bin/sh\nexec <&-\nsleep 0.05\necho hello\n",
       stdin=b"x" * 1000000)
script("writes-late", "#!/bin/sh\nsleep 0.2\necho late\nsleep 0.1\n"
       "echo later >&2\n")
script("tiny-pieces", "#!/bin/sh\nfor i in 1 2 3 4 5 6 7 8 9; do printf $i; "
       "sleep 0.01; done\n")
script("unbuffered", '#!/usr/bin/perl\n$| = 1; print $_ % 10 for 1..5000;\n')
script("mixed", '#!/bin/sh\nfor i in 1 2 3 4 5 6 7 8 9; do echo out$i; '
       'echo err$i >&2; done\n')
script("mixed-to-one-pipe", '''#!/bin/sh
for i in 1 2 3; do echo out$i; sleep 0.03; echo err$i >&2; sleep 0.03; done
''', merged=True)
script("stderr-to-stdout", "#!/bin/sh\nexec 2>&1\nfor i in 1 2 3; do "
       "echo out$i; echo err$i >&2; done\n")
system("a-megabyte", "/usr/bin/head -c 1000000 /dev/zero")
script("a-megabyte-of-errors", "#!/bin/sh\nhead -c 1000000 /dev/zero >&2\n")
script("both-at-once", '''#!/usr/bin/perl
for (1..200) { syswrite STDOUT, "o" x 5000; syswrite STDERR, "e" x 5000 }
''')
system("through-cat", "/usr/bin/cat", stdin=bytes(range(256)) * 4000)
system("sum-of-input", "/usr/bin/sha256sum", stdin=bytes(range(256)) * 4000)
system("sort", "/usr/bin/sort", stdin=b"b\na\nc")
system("no-newline", "/usr/bin/printf %s\\0%s text more")
system("nothing", "/usr/bin/true")
system("fails", "/usr/bin/false")
script("pipe-and-head", "#!/bin/bash\nset -o pipefail\nyes | head -n 2\n"
       "echo ${PIPESTATUS[*]} $?\n")
script("python-broken-pipe", "#!/bin/sh\npython3 -c 'while True: print(1)' "
       "| head -n 1\n")
system("full-device", ["/usr/bin/sh", "-c", "echo x >/dev/full; echo $?"])
script("dd", "#!/bin/sh\ndd bs=1000 count=3 status=none\ncat | wc -c\n",
       stdin=b"x" * 10000)
script("nonblocking", '''#!/usr/bin/python3
import os
os.set_blocking(1, False)
print("one", flush=True)
os.execvp("sh", ["sh", "-c", "echo two"])
''')
script("read-fd-again", '#!/bin/sh\nhead -n 1 >/dev/null\ncat >rest\n'
       'wc -l <rest\n', stdin=b"a\n" * 5)
script("empty-input", "#!/bin/sh\ncat\nread x || echo end\n", stdin=b"")

# Ends.

for NAME in ("HUP", "INT", "QUIT", "ABRT", "KILL", "SEGV", "PIPE", "ALRM",
             "TERM", "USR1"):
    script(f"dies-of-{NAME}", f"#!/bin/sh\necho before\nkill -{NAME} $$\n"
           "sleep 5\n", differs=SIGNAL if NAME in SAID else QUIET
           if NAME in ("INT", "PIPE") else {**QUIET, **SH_SAYS})
for STATUS in (1, 126, 127, 128, 130, 254, 255):
    script(f"exits-with-{STATUS}", f"#!/bin/sh\nexit {STATUS}\n")
script("child-dies", "#!/bin/bash\nsh -c 'kill -TERM $$'\necho $?\n"
       "sh -c 'kill -SEGV $$'\n", normal=swap(rb"4: *[0-9]+", b"4:"))
script("trap-exit", "#!/bin/bash\ntrap 'echo cleaned' EXIT\n"
       "trap 'echo term; exit 9' TERM\nkill -TERM $$\necho on\n")
script("stops-itself", '#!/bin/sh\n(sleep 0.1; kill -CONT $$) &\n'
       'kill -STOP $$\necho continued\nwait\n')
script("core", "#!/bin/sh\nulimit -c\nkill -QUIT $$\nsleep 5\n",
       differs={**QUIET, **SH_SAYS})
script("assert", "#!/usr/bin/python3\nimport os\nprint('before', flush=True)\n"
       "os.abort()\n", differs=SIGNAL)

# Paths in slots.  Each row is there twice, with a directory that the command
# user cannot change and with one that is its own.

TREE = {"data/a": "some text\n", "data/sub/b": "more\n",
        "data/link": pathlib.Path("a"), "data/empty": None,
        "repo.git/HEAD": "ref: refs/heads/main\n", "repo.git/objects": None,
        "repo.git/refs": None,
        "log.txt": "ERROR one\nfine\n"}
SLOTLESS = dict.fromkeys(("bare", "path", "last", "line", "shell", "sshd"),
                         "has no slot")


def slot(name, words, path, own="", why="/proc/self/fd/10/NAME", **how):
    """Two rows.  "own" is what differs in a directory that is the command
    user's, and "why" are the words of the page about it."""
    for mine in False, True:
        args = [Slot(path, mine) if word == "SLOT" else word
                for word in shlex.split(words)]
        system(f"slot-{name}" + ("-own" if mine else ""),
               [shutil.which(args[0], path=SYSTEM) or args[0], *args[1:]],
               tree=TREE, without=SLOTLESS,
               differs={"name": Differs(own, "aisd.conf(5)", why, True)}
               if mine and own else {}, **how)


slot("tar", "tar -cf - SLOT", "data", "out")
slot("tar-list", "sh -c 'tar -cf - \"$0\" 2>/dev/null | tar -tvf -' SLOT",
     "data", "out")
slot("tar-directory", "tar -C SLOT -cf - .", "data")
slot("du", "du -sb SLOT", "data", "out")
slot("find", "find SLOT", "data", "out")
slot("find-type", "find SLOT -type f -printf '%f %l %P\\n'", "data")
slot("ls-l", "ls -l --time-style=+ SLOT", "data")
slot("ls-file", "ls -l --time-style=+ SLOT", "log.txt", "out")
slot("ls-R", "ls -R SLOT", "data", "out")
slot("cp-a", "cp -a -t . SLOT", "data")
slot("cp-file", "cp -a -t . SLOT", "data/a")
slot("cp-link", "cp -a -t . SLOT", "data/link")
slot("rsync", "rsync -a --out-format=%n SLOT .", "data")
slot("rsync-content", "rsync -a SLOT/ .", "data")
slot("cat", "cat SLOT", "log.txt")
slot("tail", "tail -n 1 SLOT", "log.txt")
slot("grep-r", "grep -rc text SLOT", "data", "out")
slot("wc", "wc -l SLOT", "log.txt", "out")
slot("sha256sum", "sha256sum SLOT", "data/a", "out")
slot("gzip-c", "gzip -nc SLOT", "log.txt")
slot("stat", "stat -c '%F %s' SLOT", "data")
slot("stat-file", "stat -c '%F %s %n' SLOT", "log.txt", "out")
slot("readlink", "readlink -f SLOT", "data/sub")
slot("test-directory", "test -d SLOT", "data")
slot("test-no-link", "test ! -L SLOT", "data")
slot("basename", "basename SLOT", "data/sub")
slot("python-list", "python3 -c 'import os, sys; "
     "print(sorted(os.listdir(sys.argv[1])))' SLOT", "data")
slot("starts-another", "python3 -c 'import subprocess, sys; "
     "subprocess.run([\"cat\", sys.argv[1]], check=True)' SLOT", "log.txt",
     "status out err", "cannot hand it on")
slot("closefrom", "perl -e 'use POSIX; POSIX::close($_) for 3..255; "
     "exec \"cat\", $ARGV[0]' SLOT", "log.txt", "status out err",
     "cannot hand it on")
slot("cd", "sh -c 'cd \"$0\" && pwd -P && ls' SLOT", "data/sub")
slot("git", "git --git-dir SLOT symbolic-ref HEAD", "repo.git")
slot("rm-r", "rm -r SLOT", "data")
slot("rm", "rm SLOT", "log.txt")
slot("rmdir", "rmdir SLOT", "data/empty")
slot("mkdir", "mkdir SLOT", "data/new")
slot("touch", "touch SLOT", "data/new")
slot("touch-there", "touch SLOT", "data/a")
slot("mv", "mv SLOT .", "data/a")
slot("ln", "ln SLOT hard", "data/a")
slot("chmod", "chmod 600 SLOT", "data/a")
slot("gzip", "gzip -n SLOT", "log.txt")
slot("sed-i", "sed -i s/one/two/ SLOT", "log.txt",
     normal=swap(rb"/sed\w+", b"/sed"))
slot("tee", "tee SLOT", "data/new", stdin=INPUT)
slot("two", "cmp SLOT SLOT", "data/a")
slot("diff-r", "diff -r SLOT /usr/share/nothing", "data")

# The same with the key "pinned".

for NAME, WORDS, PINNED, HOW in (
        ("pinned-cat", "cat SLOT", True, {}),
        ("pinned-tar", "tar -cf - SLOT", True, {"name": Differs(
            "out", "aisd.conf(5)", "puts the link alone into its archive")}),
        ("pinned-du", "du -sb SLOT", True, {"name": Differs(
            "out", "aisd.conf(5)", "counts it, with exit status 0")}),
        ("unpinned-tar", "tar -cf - SLOT", False, {}),
        ("unpinned-ls", "ls -l --time-style=+ SLOT", False, {})):
    FIRST, *REST = shlex.split(WORDS.replace("SLOT", ""))
    system(f"slot-{NAME}", [f"/usr/bin/{FIRST}", *REST, Slot(
        "log.txt" if FIRST == "cat" else "data", True)], tree=TREE,
        without=SLOTLESS, pinned=PINNED, differs=HOW)

# Lines and scripts for a shell.

row("line", line="ls | wc -l; echo $((1 + 1)) *", work={"a": "", "b": ""})
row("line-fails", line="false && echo no || exit 5")
row("line-background", line="sleep 0.05 & wait; echo done")
row("line-quotes", line="""printf '%s|' "a b" 'c"d' e\\ f "$0" "$#" """)
row("line-env", line='X="a b" sh -c \'echo "$X"\'')
row("line-redirects", line="echo text >file; cat <file 2>&1 >&2; exit 3")
row("line-not-found", line="no-such-command; echo $?")
row("line-killed", line="kill -TERM $$", differs={"sshd": Differs(
    "status", "ssh(1)", "255 for every signal")})
row("line-here", line="cat <<END\nsome text\nEND\ncat", stdin=INPUT)
row("here-document", stdin=b"""if test -e /no/such/file
then
	rm -rf data
fi
echo "done in $(basename "$PWD")"
""", work={"data/file": "text"})
row("here-document-set-e", stdin=b"set -e\ncd /no/such\nrm -rf data\n",
    work={"data/file": "text"})
row("here-document-loop", stdin=b"for i in a b; do X=$i; echo $X; done\n"
    b"exit 3\n")
row("here-document-reads", stdin=b"read line\nthe line\necho \"$line\"\n")
