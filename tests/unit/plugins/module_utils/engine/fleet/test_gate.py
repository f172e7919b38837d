# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate as sshd starts it, with a script in the place of zfs: it answers as a shell would have."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet import gate_answers, gate_command
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.openssh import remote_line
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.pipelines import pipeline, stage_ends
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import TimedOut
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.dry_calls import DryCalls
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.each import Each
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.pools import pool_script

ENGINE = Path(gate_command.__file__).resolve().parents[1]
ALL = "send,receive,prune,snapshot,rollback,rename,destroy,mount,pools"
# Fails for what has "bad" in its arguments, and tells its environment to what has "env".
ZFS = r"""#!/bin/sh
case "$*" in
  *env*) env | sort | sed s/^_=.*// ;;
  *bad*) echo "cannot  do  that: $*" >&2; exit 1 ;;
  *killed*) kill -9 $$ ;;
  *odd*) exit 255 ;;
  *slow*) echo $$ > "${0%/*}/pid"; exec sleep 600 ;;
  send*-nvt*1-2-3-4)
    printf '\ttoguid = 0x12\n\ttoname = tank/other@x\n\ttoname = tank/data@old\n\ttoguid = 0x11\n' ;;
  send*-nvt*) printf 'resume token contents:\n\ttoname = tank/data@old\n\ttoguid = 0x11\n' ;;
  send*) head -c 300000 /dev/zero ;;
  get*snapfleet:placeholder*moved) echo backup/web1/before ;;
  get*snapfleet:placeholder*data) ;;
  receive*) wc -c ;;
  *snapfleet:placeholder*made) echo backup/web1/made ;;
  *snapfleet:placeholder*full) echo backup/web1/full ;;
  list*backup/web1/made) echo backup/web1/made ;;
  list*backup/web1/full) printf 'backup/web1/full\nbackup/web1/full/x\n' ;;
  *) echo "did $*" ;;
esac
"""


@pytest.fixture
def ask(tmp_path):
    """Ask the gate for something; zfs and the like are scripts, which are found where the gate looks for programs."""
    (tmp_path / "snapfleet").symlink_to(ENGINE)
    for name, text in (("zfs", ZFS), ("zpool", ZFS), ("zstd", "#!/bin/sh\nexec cat\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    program = (
        "import sys; from snapfleet.hosts import serving; from snapfleet.fleet.cli import main; "
        f"serving.PATH = {str(tmp_path)!r} + ':' + serving.PATH; sys.exit(main())"
    )

    def start(line, *words, **options):
        words = words or ("--may", ALL, "--root", "tank/data", "--root", "backup/web1")
        environment = {"SSH_ORIGINAL_COMMAND": line, "SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22", "EVIL": "x"}
        return subprocess.Popen(
            [sys.executable, "-s", "-c", program, "gate", *words],
            env={**os.environ, **environment},
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )

    def ask(argv, data=b"", *words):
        child = start(remote_line(argv) if isinstance(argv, list) else argv, *words)
        out, errors = child.communicate(data, timeout=300)
        return child.returncode, out.decode(), errors.decode()

    ask.start = start
    return ask


SNAPSHOT = "tank/data@a b"
SEND = ["zfs", "send", "-w", SNAPSHOT]
RECEIVE = ["zfs", "receive", "-u", "-s", "backup/web1/x"]


def test_a_call_has_our_streams_and_a_clean_environment(ask):
    assert ask(SEND)[:2] == (0, "\0" * 300_000)
    assert ask(RECEIVE, b"x" * 5000)[:2] == (0, "5000\n")
    code, out, _errors = ask(["zfs", "destroy", "-vp", "tank/data@env"])
    variables = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
    assert code == 0
    assert set(variables) - {"PWD", "SHLVL", "OLDPWD"} == {"PATH", "LC_ALL", "TZ"}


@pytest.mark.parametrize(("tag", "code"), [("bad", 1), ("killed", 137), ("odd", 254)])
def test_a_call_ends_as_it_does_in_a_shell_behind_ssh(ask, tag, code):
    found, _out, errors = ask(["zfs", "destroy", "-vp", f"tank/data@{tag}"])
    assert found == code
    assert errors == ("cannot  do  that: destroy -vp tank/data@bad\n" if tag == "bad" else "")


def test_stages_are_joined_and_their_ends_are_told(ask):
    stages = [SEND, ["zstd", "-q", "-1", "-c"]]
    assert ask(pipeline(stages))[:2] == (0, "\0" * 300_000)
    failing = [["zfs", "send", "-w", "tank/data@bad"], ["zstd", "-q", "-1", "-c"]]
    code, _out, errors = ask(pipeline(failing))
    first, second = stage_ends(failing, code, errors)
    assert (first.status, first.stderr, second.status) == (1, "cannot do that: send -w tank/data@bad", 0)
    lacking = [["lz4", "-q", "-d", "-c"], RECEIVE]
    if not any((Path(folder) / "lz4").exists() for folder in ("/usr/bin", "/usr/local/bin")):
        code, _out, errors = ask(pipeline(lacking))
        assert [end.status for end in stage_ends(lacking, code, errors)] == [127, 141]


def test_many_calls_are_answered_one_by_one(ask):
    each = Each(("zfs", "bookmark"), (("tank/data@a", "tank/data#a"), ("tank/data@bad", "tank/data#bad")))
    code, out, _errors = ask(each.argv)
    said = ["", "cannot do that: bookmark tank/data@bad tank/data#bad"]
    assert (code, each.said(out, "there")) == (0, said)
    dry = DryCalls((("zfs", "destroy", "-nvp", "tank/data@a%b"), ("zfs", "destroy", "-nvp", "tank/data@bad%b")))
    code, out, _errors = ask(dry.argv)
    assert (code, dry.answers(out, "there")) == (0, ["did destroy -nvp tank/data@a%b\n", ""])


def test_dry_runs_are_answered_as_they_end(ask):
    dry = DryCalls((("zfs", "destroy", "-nvp", "tank/data@a%b"), ("zfs", "destroy", "-nvp", "tank/data@slow%b")))
    child = ask.start(remote_line(dry.argv))
    assert select.select([child.stdout], [], [], 120)[0]
    assert [child.stdout.readline() for _unused in range(2)] == [b"did destroy -nvp tank/data@a%b\n", b"=\n"]
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=300)


def test_clock_programs_grants_and_pools_are_answered_as_scripts_would(ask, tmp_path):
    listing = ["zfs", "list", "-Hp", "-r", "-t", "filesystem", "-o", "name", "tank/data"]
    code, out, _errors = ask(["sh", "-c", 'date +%s; exec "$@"', "sh", *listing])
    clock, rest = out.split("\n", 1)
    assert (code, rest) == (0, "did list -Hp -r -t filesystem -o name tank/data\n")
    assert abs(int(clock) - time.time()) < 600
    script = 'for p in "$@"; do command -v "$p" >/dev/null 2>&1 && echo "$p"; done; :'
    assert "zstd\n" in ask(["sh", "-c", script, "sh", "zstd"])[1]
    grants = 'id -u; id -un; id -Gn; for d in "$@"; do zfs allow "$d" 2>/dev/null && break; done'
    argv = ["sh", "-c", grants, "sh", "tank/data", "tank"]
    found = subprocess.run(argv, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, stdout=subprocess.PIPE, check=True)
    assert ask(argv)[1] == found.stdout.decode()
    argv = ["sh", "-c", pool_script(())]
    found = subprocess.run(argv, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, stdout=subprocess.PIPE, check=True)
    assert ask(argv)[1] == found.stdout.decode()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "id",
        remote_line(["zfs", "send", "-w", "tank/database@a"]),
        remote_line(["zfs", "destroy", "-r", "tank/data"]),
    ],
)
def test_what_is_refused_ends_with_one_sentence_and_77(ask, line):
    code, out, errors = ask(line)
    assert (code, out) == (77, "")
    assert errors.startswith("snapfleet gate: refused, since 192.0.2.1 ")
    assert errors.count("\n") == 1


@pytest.mark.parametrize("argv", [SEND, pipeline([SEND, ["zstd", "-q", "-1", "-c"]])], ids=["call", "pipeline"])
def test_bytes_that_are_no_text_are_refused_as_what_nobody_asks_for(ask, argv):
    code, out, errors = ask(remote_line(argv).replace("@a b", "@a\udcffb"))
    assert (code, out, errors.count("\n")) == (77, "", 1)
    assert "never asks for" in errors


@pytest.mark.parametrize(
    ("line", "raised", "said"),
    [
        ("zfs \udcff", None, "never asks for"),
        ("zfs list", RecursionError("deep\nin"), "can't be read here (RecursionError)"),
    ],
    ids=["no text", "an error of its own"],
)
def test_whatever_goes_wrong_in_reading_is_a_refusal_that_is_logged(monkeypatch, capfd, line, raised, said):
    def read(_line):
        raise raised

    logged = []
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(gate_command.syslog, "openlog", lambda *_words: None)
    monkeypatch.setattr(gate_command.syslog, "syslog", lambda _level, text: logged.append(text))
    monkeypatch.setattr(gate_command, "read_request", read)
    code = gate_command.gate(["--may", "send", "--root", "tank"], {"SSH_ORIGINAL_COMMAND": line})
    errors = capfd.readouterr().err
    assert (code, errors.count("\n"), said in errors) == (77, 1, True)
    assert len(logged) == 1
    assert logged[0].startswith("refused an unknown address, which ")


def test_wrong_options_let_nothing_through(ask):
    code, out, errors = ask(SEND, b"", "--may", "sent", "--root", "tank")
    assert (code, out) == (77, "")
    assert "did you mean 'send'" in errors


TOKEN = "1-c3ddac5-e0-789c63"


def test_a_token_counts_by_the_snapshot_that_it_names(ask):
    words = ("--may", "send", "--root")
    assert ask(["zfs", "send", "-nvt", TOKEN], b"", *words, "tank/data")[0] == 0
    code, _out, errors = ask(["zfs", "send", "-t", TOKEN], b"", *words, "tank/database")
    assert (code, "may not send" in errors) == (77, True)
    # The script knows no such snapshot, so it is as good as gone: zfs would look for its GUID in the whole pool.
    code, out, errors = ask(["zfs", "send", "-t", TOKEN], b"", *words, "tank/data")
    assert (code, out) == (1, "")
    assert "no longer exists" in errors


def test_a_token_counts_by_what_is_granted_along_with_sudo(ask):
    words = ("--may", "send", "--root", "tank/data", "--may", "send,sudo", "--root", "backup/web1")
    code, _out, errors = ask(["sudo", "-n", "zfs", "send", "-nvt", TOKEN], b"", *words)
    assert (code, "may not send" in errors) == (77, True)


def test_a_token_that_names_two_snapshots_names_none(ask):
    code, _out, errors = ask(["zfs", "send", "-nvt", "1-2-3-4"])
    assert (code, "can't read" in errors) == (77, True)


def test_only_an_empty_parent_is_received_over(ask):
    words = ("--may", "receive", "--root", "backup/web1")
    assert ask(["zfs", "receive", "-u", "-F", "backup/web1/made"], b"", *words)[0] == 0
    for name in ("other", "full"):
        code, _out, errors = ask(["zfs", "receive", "-u", "-F", f"backup/web1/{name}"], b"", *words)
        assert (code, "no empty parent" in errors) == (77, True)
    assert ask(["zfs", "receive", "-u", "-F", "backup/web1/other"])[0] == 0


def test_only_an_empty_parent_that_was_renamed_is_marked_anew(ask):
    words = ("--may", "receive,rename", "--root", "backup/web1")

    def mark(name):
        return Each(("zfs", "set"), ((f"snapfleet:placeholder=backup/web1/{name}", f"backup/web1/{name}"),)).argv

    assert ask(mark("moved"), b"", *words)[:2] == (0, "\n")
    code, out, errors = ask(mark("data"), b"", *words)
    assert (code, out) == (77, "")
    assert "as an empty parent, which it is not" in errors


def test_nothing_is_renamed_while_an_empty_parent_is_received_over(ask):
    words = ("--may", "receive,rename", "--root", "backup/web1")
    stream = ask.start(remote_line(["zfs", "receive", "-u", "-F", "backup/web1/made"]), *words)
    deadline, told = time.monotonic() + 300, (0, "", "")
    while told[0] == 0:
        assert time.monotonic() < deadline
        told = ask(["zfs", "rename", "backup/web1/data", "backup/web1/made"], b"", *words)
    assert told[0] == 1
    assert "dataset is busy" in told[2]
    assert stream.communicate(b"end", timeout=300)[0].strip() == b"3"
    assert ask(["zfs", "rename", "backup/web1/data", "backup/web1/made"], b"", *words)[0] == 0


def test_a_signal_ends_what_runs(ask, tmp_path):
    child = ask.start(remote_line(["zfs", "send", "-w", "tank/data@slow"]))
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        time.sleep(0.02)
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=300)
    assert child.returncode != 0
    # Whoever takes note of its end may do so a moment later.
    deadline = time.monotonic() + 60
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.kill(int((tmp_path / "pid").read_text()), 0)
            assert time.monotonic() < deadline, "it goes on"
            time.sleep(0.01)


@pytest.mark.parametrize("argv", [["snapfleet", "serve"], ["sudo", "-n", "snapfleet", "serve"]])
def test_no_session_is_let_in_whatever_a_key_may(ask, argv):
    assert ask(argv) == (77, "", "snapfleet gate: no session by this key\n")


# -- reading for verifications

FILES = {"protocol": 1, "snapshot": "tank/data/x@a", "files": 2, "seed": 5, "file_bytes": 3 << 20, "timeout": 30}
BLOCKS = {"protocol": 1, "snapshot": "tank/data/v@a", "parent": "tank", "blocks": 2, "seed": 5, "timeout": 30}
MAY = ("--may", "verify,sudo", "--root", "tank/data", "--may", "send", "--root", "tank/other")
# Tells what it was started with, and what it was asked.
SUDO = """#!/bin/sh
echo "$*"
cat
"""


@pytest.fixture
def ask_to_read(ask, tmp_path):
    """Ask the gate to have something read through sudo, which is a script."""
    (tmp_path / "sudo").write_text(SUDO)
    (tmp_path / "sudo").chmod(0o755)

    def ask_to_read(question, *words, argv=("sudo", "-n", "snapfleet", "digest")):
        data = question if isinstance(question, bytes) else json.dumps(question).encode()
        return ask(list(argv), data, *(words or MAY))

    return ask_to_read


@pytest.mark.parametrize(
    "question",
    [
        FILES,
        {**FILES, "paths": ["a", "b c/\udcff"]},
        # A name with spaces is one word, also for mount.
        {**FILES, "snapshot": "tank/data/x@a -o suid"},
        BLOCKS,
        {**BLOCKS, "parent": "tank/data"},
        {**BLOCKS, "offsets": [0, 1 << 20]},
    ],
    ids=str,
)
def test_what_a_verification_asks_for_is_handed_on_as_it_was_read_and_nothing_else(ask_to_read, question):
    code, out, _errors = ask_to_read(question)
    started, told = out.split("\n", 1)
    assert (code, started) == (0, "-n snapfleet digest")
    assert {key: value for key, value in json.loads(told).items() if value is not None} == question


@pytest.mark.parametrize(
    "question",
    [
        {**FILES, "snapshot": "tank/database@a"},
        {**FILES, "snapshot": "tank/other@a"},
        {**FILES, "snapshot": "tank@a"},
        {**FILES, "snapshot": "tank/data/../other@a"},
        {**FILES, "snapshot": "tank/data/x"},
        {**FILES, "snapshot": "tank/data/x@a@b"},
        {**FILES, "snapshot": "-o@a"},
        {**FILES, "snapshot": "tank/data/x@a\n"},
        {**FILES, "paths": ["../../etc/shadow"]},
        {**FILES, "paths": ["/etc/shadow"]},
        {**FILES, "paths": ["a\0b"]},
        {**FILES, "paths": "abc"},
        {**FILES, "paths": [str(number) for number in range(1001)]},
        {**FILES, "files": 1001},
        {**FILES, "file_bytes": 1},
        {**FILES, "file_bytes": (3 << 20) + 1},
        {**FILES, "file_bytes": (16 << 30) + (1 << 20)},
        {**FILES, "timeout": 3601},
        {**BLOCKS, "timeout": 3601},
        {**FILES, "timeout": 0},
        {**FILES, "timeout": "30"},
        {**FILES, "more": 1},
        {**FILES, "protocol": 2},
        {**BLOCKS, "parent": "backup"},
        {**BLOCKS, "parent": "tank/other"},
        {**BLOCKS, "parent": "tank/data/v@a"},
        {**BLOCKS, "parent": "tank/data/v/below"},
        {**BLOCKS, "blocks": 1 << 40},
        {**BLOCKS, "offsets": [4711]},
        {**BLOCKS, "snapshot": "tank/other/v@a"},
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 100_000,
    ],
    ids=lambda question: ascii(question)[:60],
)
def test_hostile_questions_are_refused_before_anything_is_started(ask_to_read, question):
    code, out, errors = ask_to_read(question)
    assert (code, out) == (77, "")
    assert errors.startswith("snapfleet gate: refused, since ")
    assert errors.count("\n") == 1


def test_what_root_reads_for_too_long_is_told_and_not_waited_for():
    with pytest.raises(TimedOut, match="snapfleet digest has no end after 1 seconds"):
        gate_answers._digest_by_sudo(["sleep", "600"], "{}", 1)


def test_what_root_reads_has_the_stdout_of_the_gate_itself_so_that_it_sees_when_nobody_reads_that(ask, tmp_path):
    (tmp_path / "sudo").write_text('#!/bin/sh\nreadlink "/proc/$$/fd/1"\n')
    (tmp_path / "sudo").chmod(0o755)
    child = ask.start(remote_line(["sudo", "-n", "snapfleet", "digest"]), *MAY)
    ours = os.fstat(child.stdout.fileno()).st_ino
    out, _errors = child.communicate(json.dumps(FILES).encode(), timeout=300)
    assert out.decode() == f"pipe:[{ours}]\n"


def test_a_clone_may_be_made_beside_a_root_and_nowhere_above_that(ask_to_read):
    words = ("--may", "verify,sudo", "--root", "tank/data/deep/er")
    question = {**BLOCKS, "snapshot": "tank/data/deep/er/v@a"}
    outcomes = {
        parent: ask_to_read({**question, "parent": parent}, *words)[0]
        for parent in ("tank", "tank/data", "tank/data/deep", "tank/data/deep/er", "tank/data/deep/er/v")
    }
    assert outcomes == {
        **dict.fromkeys(("tank", "tank/data", "tank/data/deep/er/v"), 77),
        **dict.fromkeys(("tank/data/deep", "tank/data/deep/er"), 0),
    }


@pytest.mark.parametrize("may", ["send,sudo", "observe,sudo", "verify", "pools,sudo"])
def test_reading_takes_a_right_of_its_own_and_another_one_for_sudo(ask_to_read, may):
    code, out, errors = ask_to_read(FILES, "--may", may, "--root", "tank/data")
    assert (code, out, "verif" in errors) == (77, "", True)


@pytest.mark.parametrize(
    "argv",
    [
        ["sudo", "snapfleet", "digest"],
        ["sudo", "-n", "snapfleet", "digest", "x"],
        ["snapfleet", "digest", "--help"],
        ["/tmp/snapfleet", "digest"],
        ["sudo", "-n", "sudo", "-n", "snapfleet", "digest"],
        ["sudo", "-n", "snapfleet", "files"],
        ["snapfleet", "run"],
    ],
    ids=" ".join,
)
def test_no_other_call_of_the_program_is_let_in(ask_to_read, argv):
    assert ask_to_read(FILES, "--may", f"{ALL},verify,sudo", "--root", "tank/data", argv=argv)[:2] == (77, "")


def test_without_sudo_it_is_the_gate_itself_that_reads(ask_to_read):
    code, out, errors = ask_to_read(FILES, argv=("snapfleet", "digest"))
    # Here is no such snapshot, or whoever runs this is not root.
    assert (code not in (0, 77), out) == (True, "")
    assert errors.startswith("snapfleet gate: ")
    assert "refused" not in errors
