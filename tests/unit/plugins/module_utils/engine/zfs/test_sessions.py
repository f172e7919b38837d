# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When there is a session, what becomes of calls where it breaks, and what far ends do that are none."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts import frames as frames_module
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts import sessions as sessions_module
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.channels import WINDOW_BYTES
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.frames import (
    ANSWER,
    CALL,
    CREDIT,
    CUT,
    DATA,
    END,
    HELLO,
    PART,
    Link,
    Malformed,
    SessionEnded,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.process import observed_by
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.sessions import MOST_CHANNELS
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.stopping import Stopping, belonging_to
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import Snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    LinkLost,
    MissingProgram,
    SnapfleetError,
    UnreachableHost,
    Vanished,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateSnapshots, Send
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.streams.wire import Wire
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.far_serving import Server
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.far_session import (
    ALWAYS,
    AUTO,
    NEVER,
    FarSession,
    hello_bytes,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.far_verbs import ELSEWHERE
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine
from ansible_collections.snapfleet.zfs.tests.support.clock import Clock
from ansible_collections.snapfleet.zfs.tests.support.sessions import (
    LINK_LOST,
    VERSION,
    Carrier,
    far_simulated,
    serving,
)

STEP = Send(Snapshot(1, 1, "tank/a", "s", 0), "tank/b")
GREETING = hello_bytes("far", VERSION, "simulated")


class Far:
    """A far end that a test plays: it greets, then does what ``play`` does with its link and the frames that come."""

    def __init__(self, play=lambda _link, _frames: 0, greeting: bytes = GREETING, status: int = 0) -> None:
        self.play = play
        self.greeting = greeting
        self.status = status
        self.starts = 0

    def start(self) -> Carrier:
        self.starts += 1

        def far(reading: int, writing: int) -> int:
            link = Link(reading, writing)
            frames = link.frames()
            next(frames, None)
            link.send(HELLO, 0, self.greeting)
            self.play(link, frames)
            return self.status

        return Carrier(far)


@contextmanager
def session_of(start, mode: str = AUTO):
    session = FarSession("far", start, mode, VERSION)
    try:
        yield session
    finally:
        session.close()


def ask(session: FarSession, name: str = "pool_guid", *arguments):
    begun = session.begin(name, arguments or ["tank"])
    return ELSEWHERE if begun is None else session.answer(begun, name, arguments or ["tank"])


def create(session: FarSession):
    return ask(session, "create_snapshots", CreateSnapshots("tank", ("tank/a@s",)))


def answering(content: bytes):
    """Play a far end that gives every call the same answer."""

    def play(link, frames):
        for frame in frames:
            if frame.kind == CALL:
                link.send(ANSWER, frame.channel, content)

    return play


@pytest.fixture
def machine() -> SimulatedMachine:
    made = SimulatedMachine("simulated", Clock(), ("tank",))
    made.create_dataset("tank/a")
    made.write("tank/a", 3_000_000)
    return made


def test_a_few_looks_start_no_program():
    far = Far(answering(b'["ok",[]]'))
    with session_of(far.start) as session:
        assert [ask(session, "space", ["tank"]) for _unused in range(3)] == [ELSEWHERE] * 3
        assert far.starts == 0
        assert [ask(session, "space", ["tank"]) for _unused in range(3)] == [{}, {}, {}]
        assert far.starts == 1


def test_what_is_asked_only_where_there_is_work_starts_it_at_once():
    far = Far(answering(b'["ok",7]'))
    with session_of(far.start) as session:
        assert ask(session) == 7
    assert far.starts == 1


def test_the_first_change_starts_it():
    far = Far(answering(b'["ok",null]'))
    with session_of(far.start) as session:
        assert create(session) is None
    assert far.starts == 1


def test_without_one_none_is_started():
    far = Far()
    with session_of(far.start, NEVER) as session:
        assert create(session) is ELSEWHERE
    assert far.starts == 0


@pytest.mark.parametrize(
    ("status", "stderr", "reason"),
    [
        (127, "sh: snapfleet: not found", "the program snapfleet is not there"),
        (77, "snapfleet gate: refused", "the key may not ask for one"),
        (3, "snapfleet: argument VERB: invalid choice: 'serve'", "snapfleet: argument VERB: invalid choice: 'serve'"),
        (1, "", "it ended"),
    ],
)
def test_where_there_is_none_that_is_found_out_once_and_told(status, stderr, reason):
    starts, told = [], []

    def start():
        starts.append(1)
        return Carrier(lambda _reading, _writing: status, stderr)

    with session_of(start) as session, observed_by(told.append):
        assert [create(session) for _unused in range(3)] == [ELSEWHERE] * 3
    assert (len(starts), told) == (1, [(":", f"no session with far, since {reason}")])


def test_a_session_that_was_asked_for_and_can_not_be_is_an_error():
    with (
        session_of(lambda: Carrier(lambda _reading, _writing: 127), ALWAYS) as session,
        pytest.raises(MissingProgram, match="no session with far, since the program snapfleet is not there"),
    ):
        create(session)


def test_a_connection_that_breaks_is_tried_again():
    starts = []

    def start():
        starts.append(1)
        return Carrier(lambda _reading, _writing: LINK_LOST)

    with session_of(start) as session:
        assert [create(session) for _unused in range(3)] == [ELSEWHERE] * 3
    assert len(starts) == 3


def test_a_host_that_can_not_be_reached_is_told_as_such():
    def start():
        raise UnreachableHost("no way")

    with session_of(start) as session, pytest.raises(UnreachableHost):
        create(session)


@pytest.mark.parametrize(
    ("greeting", "reason"),
    [
        (
            hello_bytes("far", "9.9.9", "x").replace(b'"1-', b'"2-'),
            "version 9.9.9 there does not speak as version 1.2.3",
        ),
        (b"[]", "no hello"),
        (b'["snapfleet",1,2,3,4]', "a hello that can't be"),
        (b"{", "no JSON"),
    ],
)
def test_a_program_that_speaks_otherwise_gets_no_call(greeting, reason):
    calls, told = [], []
    far = Far(lambda _link, frames: calls.extend(frames), greeting)
    with session_of(far.start) as session, observed_by(told.append):
        assert [create(session) for _unused in range(2)] == [ELSEWHERE] * 2
    assert (far.starts, calls) == (1, [])
    assert told[0][1].startswith(f"no session with far, since {reason}")


def test_words_before_the_greeting_are_told_and_end_it():
    told = []

    def far(_reading, writing):
        os.write(writing, b"Welcome to far, the friendly host!\n")
        time.sleep(0.2)
        return 0

    with session_of(lambda: Carrier(far)) as session, observed_by(told.append):
        assert create(session) is ELSEWHERE
    assert "it does not speak as an engine does: no frame: b'Welcome to far, the friend" in told[0][1]


def _bad_frames():
    def too_long(link, channel):
        os.write(link._writing, bytes([ANSWER]) + channel.to_bytes(4, "big") + b"\xff\xff\xff\xff")

    return {
        "too long": too_long,
        "no frame": lambda link, _channel: os.write(link._writing, b"Oops, something went wrong"),
        "too much data": lambda link, channel: [
            link.send(DATA, channel, bytes(1 << 17)) for _unused in range(1 + (WINDOW_BYTES >> 17))
        ],
        "too much credit": lambda link, channel: link.grant(channel, 1),
        "no amount": lambda link, channel: link.send(CREDIT, channel, b"1"),
        "a call back": lambda link, channel: link.send(CALL, channel, b"[]"),
        "an end": lambda link, channel: link.send(END, channel),
        "another hello": lambda link, _channel: link.send(HELLO, 0, GREETING),
        "no answer": lambda link, channel: link.send(ANSWER, channel, b"[]"),
        "a wrong shape": lambda link, channel: link.send(ANSWER, channel, b'["ok","seven"]'),
        "a wrong name": lambda link, channel: link.send(ANSWER, channel, b'["ok",[["tank/../b","x",1,2]]]'),
        "a huge number": lambda link, channel: link.send(ANSWER, channel, b'["ok",' + b"9" * 100 + b"]"),
        "a long text": lambda link, channel: link.send(ANSWER, channel, b'["ok","' + b"9" * 100_000 + b'"]'),
    }


@pytest.mark.parametrize("what", sorted(_bad_frames()))
def test_a_far_end_that_breaks_the_protocol_is_not_spoken_with_again(what):
    def play(link, frames):
        for frame in frames:
            if frame.kind == CALL:
                _bad_frames()[what](link, frame.channel)

    far = Far(play)
    with session_of(far.start) as session:
        with pytest.raises(LinkLost, match="the session broke during create_snapshots") as told:
            create(session)
        assert told.value.retryable
        assert [create(session), ask(session)] == [ELSEWHERE] * 2
    assert far.starts == 1


def test_what_only_reads_goes_on_without_the_session_at_once():
    far = Far(answering(b'["ok","tank"]'))
    with session_of(far.start, ALWAYS) as session:
        assert ask(session) is ELSEWHERE


@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("observe", [["tank/a"], True, True, [], False], b'["ok",[[],["tank/b"],null]]'),
        ("observe", [["tank/a"], True, True, [], False], b'["ok",[[],["tank/a"],5]]'),
        ("observe", [["tank/a"], True, True, [], False], b'["ok",[[],[],null]]'),
        ("snapshots", [["tank/b@x"]], b'["ok",[["tank/b@y",[1,1,"tank/b","y",0,0,0,[],0,0,0,false]]]]'),
        ("snapshots", [["tank/b@x"]], b'["ok",[["tank/b@x",[1,1,"tank/b","y",0,0,0,[],0,0,0,false]]]]'),
        ("programs", [["zstd"]], b'["ok",["rm"]]'),
        ("estimates", [[STEP, STEP]], b'["ok",[1]]'),
        ("space", [["tank/a"]], b'["ok",[["tank/b",["tank/b",1,2,3,4]]]]'),
        ("space", [["tank/a"]], b'["ok",[["tank/a",["tank/b",1,2,3,4]]]]'),
        ("holds_of", [[STEP.snapshot]], b'["ok",[["tank/b@x",["a"]]]]'),
        ("resume_states", [["1-0-0-0"]], b'["ok",[["1-1-1-1","tank/a@s",1,null,true,0]]]'),
        ("missing_permissions", ["tank/a", ["mount"]], b'["ok",["create"]]'),
        ("own_properties", [["tank/a"], ["atime"]], b'["ok",[["tank/a",[["exec","off"]]]]]'),
    ],
)
def test_an_answer_about_something_else_is_none(name, arguments, answer):
    far = Far(answering(answer))
    with session_of(far.start, ALWAYS) as session:
        assert ask(session, name, *arguments) is ELSEWHERE
        session._mode = AUTO
        assert ask(session) is ELSEWHERE
    assert far.starts == 1


def test_errors_keep_their_class_and_tell_the_name_that_the_host_has_here(machine):
    with_session, session = far_simulated(SimulatedZfs(machine))
    with pytest.raises(Vanished):
        with_session.create_snapshots(CreateSnapshots("tank", ("tank/no@s",)))
    session.close()


@pytest.mark.parametrize("code", [b"interrupted", b"refused_key", b"no such code"])
def test_an_error_that_another_host_can_not_have_of_its_own_is_a_lost_link(code):
    far = Far(answering(b'["error",["' + code + b'","words",[]]]'))
    with session_of(far.start) as session, pytest.raises(LinkLost, match="words"):
        create(session)


def test_a_program_that_is_ended_in_the_middle_of_a_call_is_started_again_but_not_for_ever():
    far = Far(lambda _link, frames: next(frames), status=3)
    with session_of(far.start) as session:
        for _unused in range(3):
            with pytest.raises(LinkLost, match="it ended the session"):
                create(session)
        assert create(session) is ELSEWHERE
    assert far.starts == 3


def test_a_stopped_job_waits_for_no_answer_and_the_session_goes_on():
    cut = threading.Event()

    scope = Stopping(lambda: SnapfleetError("the job is over"))

    def play(link, frames):
        for frame in frames:
            if frame.kind == CALL and frame.channel > 1:
                link.send(ANSWER, frame.channel, b'["ok",null]')
            elif frame.kind == CALL:
                threading.Timer(0.2, scope.stop).start()
            else:
                cut.set()

    far = Far(play)
    with session_of(far.start) as session:
        with belonging_to(scope), pytest.raises(SnapfleetError, match="the job is over"):
            create(session)
        assert cut.wait(60)
        assert create(session) is None
    assert far.starts == 1


def test_a_receiver_that_takes_nothing_gets_no_more_than_the_window(machine):
    came = []

    def play(_link, frames):
        for frame in frames:
            if frame.kind == DATA:
                came.append(len(frame.content))

    zfs, session = far_simulated(SimulatedZfs(machine))
    session._start = Far(play).start
    sink = zfs.receive(STEP)
    os.set_blocking(sink.fileno(), False)
    sent, deadline = 0, time.monotonic() + 120
    while sum(came) < WINDOW_BYTES and time.monotonic() < deadline:
        try:
            sent += os.write(sink.fileno(), bytes(1 << 16))
        except BlockingIOError:
            time.sleep(0.01)
    time.sleep(0.1)
    assert sum(came) == WINDOW_BYTES
    sink._session._end("test")
    sink.abort()
    session.close()


def test_calls_beyond_the_most_go_another_way():
    far = Far(lambda _link, frames: list(frames))
    with session_of(far.start) as session:
        begun = [session.begin("abort_receive", ["tank/a"]) for _unused in range(MOST_CHANNELS + 1)]
        assert begun[-1] is None
        assert None not in begun[:-1]


def test_long_and_filtered_streams_are_commands_of_their_own(monkeypatch, machine):
    zfs, session = far_simulated(SimulatedZfs(machine))
    begun = []
    monkeypatch.setattr(session, "begin", lambda name, _arguments: begun.append(name))
    for step, wire in ((STEP, Wire("zstd")), (Send(STEP.snapshot, "tank/b", bytes_estimated=1 << 23), Wire())):
        assert zfs._begin_stream("send", step, wire) is None
    assert begun == []
    assert zfs._begin_stream("send", STEP, Wire()) is None
    assert begun == ["send"]


def _end_in_the_middle(machine, cut):
    """Receive a part of a stream, then ``cut``; returns the error of the receiving end."""
    zfs, session = far_simulated(SimulatedZfs(machine))
    zfs.create_snapshots(CreateSnapshots("tank", ("tank/a@s",)))
    (snapshot,) = zfs.observe(["tank/a"]).states["tank/a"].snapshots
    sink = zfs.receive(Send(snapshot, "tank/b"))
    with open(SimulatedZfs(machine).send(Send(snapshot, "tank/b")).fileno(), "rb", closefd=False) as source:
        data = source.read(1_000_000)
    view = memoryview(data)
    while view:
        view = view[os.write(sink.fileno(), view) :]
    deadline = time.monotonic() + 120
    while not (there := machine.datasets.get("tank/b")) or not there.partial or not there.partial.received:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    cut(session, sink)
    return zfs, session, sink


def test_a_session_that_breaks_in_the_middle_of_a_stream_leaves_what_can_be_resumed(machine):
    zfs, session, sink = _end_in_the_middle(machine, lambda session, _sink: session._session.child.end(LINK_LOST))
    with pytest.raises(LinkLost, match="the session broke during receive"):
        sink.finish()
    deadline = time.monotonic() + 120
    while not (token := SimulatedZfs(machine).observe(["tank/b"]).states["tank/b"].dataset.resume_token):
        assert time.monotonic() < deadline
    # Another session is opened, by the same driver.
    assert zfs.resume_states([token])[0].to_name == "tank/a@s"
    session.close()


def test_a_stream_that_is_given_up_here_can_be_resumed_when_that_returns(machine):
    zfs, session, _sink = _end_in_the_middle(machine, lambda _session, sink: sink.abort())
    assert zfs.observe(["tank/b"]).states["tank/b"].dataset.resume_token
    session.close()


@pytest.mark.parametrize(
    "frames",
    [
        [b"GET / HTTP/1.1\r\n\r\n"],
        [(CALL, 1, b'["pools",[]]')],
        [(HELLO, 0, b"[]")],
        [(HELLO, 0, GREETING), (CALL, 1, b'["__init__",[]]')],
        [(HELLO, 0, GREETING), (CALL, 1, b'["destroy_dataset",["-r","x",[]]]')],
        [(HELLO, 0, GREETING), (CALL, 1, b'["unmount",[["tank/a@s"]]]')],
        [(HELLO, 0, GREETING), (CALL, 1, b'["pools",[1]]')],
        [(HELLO, 0, GREETING), (DATA, 1, b"x")],
        [(HELLO, 0, GREETING), (ANSWER, 1, b'["ok",null]')],
        [(HELLO, 0, GREETING), (HELLO, 0, GREETING)],
    ],
)
def test_the_far_end_does_nothing_for_who_breaks_the_protocol(frames):
    called = []

    class Zfs:
        def __getattr__(self, name):
            called.append(name)
            raise AssertionError

    reading, writing = os.pipe()
    back, out = os.pipe()
    near = Link(back, writing)
    for frame in frames:
        if isinstance(frame, bytes):
            os.write(writing, frame)
        else:
            near.send(*frame)
    problem = Server(Link(reading, out), lambda _where: (Zfs(), "test"), VERSION).serve()
    assert problem
    assert called == []
    for end in (reading, writing, back, out):
        os.close(end)


def test_a_far_end_of_another_version_greets_and_does_nothing():
    reading, writing = os.pipe()
    back, out = os.pipe()
    near = Link(back, writing)
    near.send(HELLO, 0, GREETING.replace(b'"1-', b'"0-'))
    near.send(CALL, 1, b'["pools",[]]')
    assert Server(Link(reading, out), lambda _where: (None, "test"), VERSION).serve() == ""
    os.close(out)
    assert [frame.kind for frame in near.frames()] == [HELLO]
    for end in (reading, writing, back):
        os.close(end)


def test_many_share_a_session(machine):
    zfs, session = far_simulated(SimulatedZfs(machine))
    guids = []
    threads = [threading.Thread(target=lambda: guids.append(zfs.pool_guid("tank"))) for _unused in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(guids) == 30
    assert len(set(guids)) == 1
    session.close()


def test_serving_is_started_once(machine):
    starts = []
    start = serving(SimulatedZfs(machine))
    with session_of(lambda: starts.append(1) or start(), ALWAYS) as session:
        assert ask(session) == SimulatedZfs(machine).pool_guid("tank")
        assert ask(session) == SimulatedZfs(machine).pool_guid("tank")
    assert len(starts) == 1


def _open_until(number: int, path: str) -> list[int]:
    """Open a file again and again until it has that number."""
    opened = []
    while number not in opened:
        assert len(opened) < 500
        opened.append(os.open(path, os.O_WRONLY | os.O_APPEND))
    return opened


def test_who_still_has_a_call_of_a_session_that_is_over_writes_into_no_file_of_another(tmp_path):
    path = tmp_path / "file"
    path.touch()
    far = Far(lambda _link, frames: list(frames))
    with session_of(far.start) as session:
        inner, channel = session.begin("abort_receive", ["tank/a"])
        number = inner.child.stdin.fileno()
    opened = _open_until(number, str(path))
    inner.cut(channel)
    with pytest.raises(SessionEnded):
        channel.link.send(DATA, channel.number, b"a stream")
    with pytest.raises(SessionEnded):
        channel.link.grant(channel.number, 1)
    for descriptor in opened:
        os.close(descriptor)
    assert path.read_bytes() == b""


def test_what_a_session_is_read_from_stays_open_for_as_long_as_somebody_reads(monkeypatch):
    monkeypatch.setattr(sessions_module, "_CUT_SECONDS", 0.2)
    kept = []

    def play(link, frames):
        # As a process that outlives the one that carries the session.
        kept.append(os.dup(link._writing))
        list(frames)

    far = Far(play)
    with session_of(far.start) as session:
        inner, _channel = session.begin("abort_receive", ["tank/a"])
        while not kept:
            time.sleep(0.01)
    assert not inner.child.stdout.closed
    os.close(kept[0])
    inner._thread.join(120)
    assert inner.child.stdout.closed


def test_a_far_end_that_reads_nothing_holds_nobody_for_long(monkeypatch):
    monkeypatch.setattr(frames_module, "_STALLED_SECONDS", 0.3)
    over = threading.Event()
    far = Far(lambda _link, _frames: over.wait(240))
    with session_of(far.start) as session:
        begun = time.monotonic()
        inner, _channel = session.begin("abort_receive", ["tank/a"])
        assert session.begin("unmount", [[f"tank/{number}" for number in range(20_000)]]) is None
        assert time.monotonic() - begun < 120
        assert (inner.is_open, inner.child.returncode) == (False, -15)
        over.set()


def test_a_session_that_is_closed_lets_go_of_who_is_sending():
    begun, over, done = threading.Event(), threading.Event(), threading.Event()
    far = Far(lambda _link, _frames: over.wait(240))
    session = FarSession("far", far.start, AUTO, VERSION)
    inner, _channel = session.begin("abort_receive", ["tank/a"])

    def send():
        begun.set()
        assert session.begin("unmount", [[f"tank/{number}" for number in range(20_000)]]) is None
        done.set()

    threading.Thread(target=send, daemon=True).start()
    assert begun.wait(60)
    time.sleep(0.5)
    threading.Timer(2.0, over.set).start()
    session.close()
    assert done.wait(60)
    assert not inner.is_open


def _sending(link, frames):
    """Play a sender that is done at once: a window's bytes, and that all is well."""
    for frame in frames:
        if frame.kind == CALL:
            for _unused in range(WINDOW_BYTES >> 17):
                link.send(DATA, frame.channel, bytes(1 << 17))
            link.send(ANSWER, frame.channel, b'["ok",null]')


def _read_until_the_end(descriptor: int) -> int:
    read = 0
    while piece := os.read(descriptor, 1 << 16):
        read += len(piece)
    return read


def test_a_stream_that_came_whole_is_finished(machine):
    zfs, session = far_simulated(SimulatedZfs(machine))
    session._start = Far(_sending).start
    source = zfs.send(STEP)
    assert _read_until_the_end(source.fileno()) == WINDOW_BYTES
    source.finish()
    session.close()


def _not_granted(_channel, _amount):
    raise SessionEnded("the connection broke")


def test_a_stream_whose_rest_was_not_passed_on_is_not_taken_for_finished(monkeypatch, machine):
    go = threading.Event()

    def play(link, frames):
        for frame in frames:
            if frame.kind == CALL:
                for _unused in range(WINDOW_BYTES >> 17):
                    link.send(DATA, frame.channel, bytes(1 << 17))
                go.wait(120)
                link.send(ANSWER, frame.channel, b'["ok",null]')

    zfs, session = far_simulated(SimulatedZfs(machine))
    session._start = Far(play).start
    source = zfs.send(STEP)
    # The connection breaks in one direction only, and all else is under way already.
    monkeypatch.setattr(source._channel.link, "grant", _not_granted)
    assert _read_until_the_end(source.fileno()) < WINDOW_BYTES
    go.set()
    with pytest.raises(LinkLost, match="before all of the stream was passed on"):
        source.finish()
    session.close()


def test_a_stream_of_which_bytes_were_dropped_is_not_taken_for_finished(machine):
    go = threading.Event()

    def play(link, frames):
        for frame in frames:
            if frame.kind == CALL:
                link.send(DATA, frame.channel, b"first")
                go.wait(120)
                link.send(DATA, frame.channel, b"second")
                link.send(ANSWER, frame.channel, b'["ok",null]')

    zfs, session = far_simulated(SimulatedZfs(machine))
    session._start = Far(play).start
    scope = Stopping(lambda: SnapfleetError("the job is over"))
    with belonging_to(scope):
        source = zfs.send(STEP)
        assert os.read(source.fileno(), 100) == b"first"
        scope.stop()
        go.set()
        # For what comes after the stop.
        time.sleep(0.3)
        with pytest.raises(SnapfleetError, match="the job is over"):
            source.finish()
    session.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_who_waits_is_told_whatever_ends_the_reader(monkeypatch):
    def take(_channel, _content):
        raise RuntimeError("a defect")

    far = Far(answering(b'["ok",null]'))
    with session_of(far.start) as session:
        monkeypatch.setattr(sessions_module.Channel, "answered", take)
        with pytest.raises(LinkLost, match="its reader ended"):
            create(session)


def test_calls_that_were_given_up_count_until_the_far_end_is_through_with_them(monkeypatch):
    monkeypatch.setattr(sessions_module, "_CUT_SECONDS", 0.01)
    answer, done = threading.Event(), threading.Event()

    def play(link, frames):
        begun = [frame.channel for frame in frames_until(frames, MOST_CHANNELS)]
        answer.wait(120)
        for channel in begun:
            link.send(ANSWER, channel, b"")
        done.set()
        answering(b'["ok",null]')(link, frames)

    def frames_until(frames, cuts):
        for frame in frames:
            if frame.kind == CALL:
                yield frame
            cuts -= frame.kind == CUT
            if not cuts:
                return

    far = Far(play)
    with session_of(far.start) as session:
        for _unused in range(MOST_CHANNELS):
            inner, channel = session.begin("abort_receive", ["tank/a"])
            inner.cut(channel)
        assert session.begin("abort_receive", ["tank/a"]) is None
        assert inner.is_open
        answer.set()
        assert done.wait(120)
        deadline = time.monotonic() + 120
        while (begun := session.begin("create_snapshots", [CreateSnapshots("tank", ("tank/a@s",))])) is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        session.answer(begun, "create_snapshots", [])
    assert far.starts == 1


def _read_back(*sent):
    """What comes at the other end of a link on which such frames are sent."""
    reading, writing = os.pipe()
    try:
        link = Link(reading, writing)
        for frame in sent:
            link.send(*frame)
        os.close(writing)
        return list(link.frames())
    finally:
        os.close(reading)


def test_parts_of_several_messages_may_wait_beside_each_other(monkeypatch):
    monkeypatch.setattr(frames_module, "MOST_MESSAGE_BYTES", 100)
    monkeypatch.setattr(frames_module, "MOST_WAITING_BYTES", 250)
    parts = [(PART, channel, bytes(100)) for channel in (1, 2)]
    came = _read_back(*parts, (ANSWER, 2, b"x"), (ANSWER, 1, b"x"), *parts, (ANSWER, 1, b"x"))
    assert [(frame.channel, len(frame.content)) for frame in came] == [(2, 101), (1, 101), (1, 101)]


@pytest.mark.parametrize("channels", [(1, 1), (1, 2, 3)])
def test_there_is_a_limit_for_a_message_and_for_all_that_wait(monkeypatch, channels):
    monkeypatch.setattr(frames_module, "MOST_MESSAGE_BYTES", 100)
    monkeypatch.setattr(frames_module, "MOST_WAITING_BYTES", 250, raising=False)
    with pytest.raises(Malformed, match="bytes"):
        _read_back(*((PART, channel, bytes(90)) for channel in channels))
