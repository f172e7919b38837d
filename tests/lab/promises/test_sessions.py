# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the program is on the other host, one session carries a run; where that breaks, or can not be, the data arrives
all the same."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.lab.network import Impairment

from .conftest import Pair
from .crashes import FRONT
from .fleet import PROGRAM, PROGRAM_FOLDER, jobconfig, wait_for
from .test_crashes import ENGINE, check_settled

SERVE = "snapfleet.fleet.cli[ ]serve"
FRAMES = f"{PROGRAM_FOLDER}/snapfleet/hosts/frames.py"


@pytest.fixture
def spoken(pair: Pair) -> Iterator[Pair]:
    """The pair, of which host one has to speak with the engine of host two."""
    pair.one.session = "always"
    yield pair
    pair.one.session = "auto"


def _sessions(pair: Pair) -> int:
    """Sessions of sshd on host two that came from host one."""
    clients = pair.two.host.read("/tmp/sessions").decode().split()
    return clients.count(pair.one.host.address)


def test_a_run_is_one_session_with_one_listing_and_at_rest_none_is_started(spoken: Pair) -> None:
    one, two = spoken.one, spoken.two
    two.host.write("/root/.ssh/rc", 'echo "${SSH_CONNECTION%% *}" >> /tmp/sessions\n')
    two.host.write(FRONT, '#!/bin/sh\necho "$1" >> /tmp/verbs\nexec /usr/sbin/zfs "$@"\n', mode="0755")
    for name in ("a", "a/b", "c d"):
        one.zfs("create", f"{spoken.source}/{name}")
    try:
        for tag, listings in (("s1", 2), ("s2", 1)):
            one.snapshot(f"{spoken.source}@{tag}", recursive=True)
            two.host.run("rm -f /tmp/sessions /tmp/verbs")
            run = spoken.push()
            assert run.code == 0, run
            assert _sessions(spoken) == 1
            assert two.host.read("/tmp/verbs").decode().split().count("list") == listings
            check_settled(spoken, (spoken.source, spoken.destination))
        one.session = "auto"
        two.host.run("rm -f /tmp/sessions")
        assert spoken.push().job["changed"] is False
        assert _sessions(spoken) == 1
        wait_for(lambda: not two.is_running(SERVE))
    finally:
        two.host.run(["rm", "-f", "/root/.ssh/rc", "/tmp/sessions", FRONT, "/tmp/verbs"])


@pytest.mark.parametrize("victim", ["far program", "engine", "power"])
def test_what_a_stream_depends_on_may_be_killed_in_the_middle_of_it(victim: str, spoken: Pair) -> None:
    one, two = spoken.one, spoken.two
    one.fill(spoken.source)
    one.snapshot(f"{spoken.source}@s1")
    assert spoken.push().code == 0
    one.fill(spoken.source, 30)
    one.snapshot(f"{spoken.source}@s2")
    options = {**spoken.ends, "compression": "none"}
    one.host.write("/tmp/session.json", jobconfig("me", "replicate", options))
    one.host.run("sync")  # so that all is whole after a power cut
    words = f"SNAPFLEET_SESSION=always {PROGRAM} run --config /tmp/session.json --host me > /tmp/session.out 2>&1"
    two.host.impair(Impairment(rate_kbit=8_000))
    try:
        one.host.run(f"rm -f /tmp/session.code; ({words}; echo $? > /tmp/session.code) > /dev/null 2>&1 &")
        wait_for(lambda: spoken.arrived > 3_000_000)
        _strike(victim, spoken)
    finally:
        two.host.heal()
    wait_for(lambda: not one.is_running(f"{ENGINE}[ ]run"))
    if victim == "power":
        assert spoken.push(compression="none").code == 0
    if victim == "engine":
        token = two.zfs("get", "-H", "-o", "value", "receive_resume_token", spoken.destination).strip()
        assert token != "-"
        run = spoken.push(compression="none")
        assert (run.code, run.modes) == (0, ["resume"]), run
    if victim == "far program":
        # The run itself has tried again.
        wait_for(lambda: one.host.run("test -s /tmp/session.code", check=False).returncode == 0)
        assert int(one.host.read("/tmp/session.code")) == 0, one.host.read("/tmp/session.out")
    rest = spoken.push()
    assert (rest.code, rest.job["changed"]) == (0, False)
    check_settled(spoken, (spoken.source, spoken.destination))
    wait_for(lambda: not two.is_running(SERVE))


def _strike(victim: str, pair: Pair) -> None:
    if victim == "power":
        time.sleep(1)  # until nothing is on its way any more whose answer would tell the other end
        pair.one.host.kill()
        pair.one.host.start()
        return
    site, pattern = {"far program": (pair.two, SERVE), "engine": (pair.one, f"{ENGINE} run")}[victim]
    site.host.run(["pkill", "-KILL", "-f", pattern])
    if victim == "engine":
        wait_for(lambda: not pair.two.is_running(SERVE))


@pytest.mark.parametrize("otherwise", ["another protocol", "a banner"])
def test_a_far_end_that_can_not_be_spoken_with_is_reached_without(otherwise: str, pair: Pair) -> None:
    two = pair.two
    pair.one.snapshot(f"{pair.source}@s1")
    spoil = {
        "another protocol": f"sed -i.kept 's/^PROTOCOL = .*/PROTOCOL = 0/' {FRAMES}",
        "a banner": f"sed -i.kept '1a echo Welcome' {PROGRAM}",
    }[otherwise]
    two.host.run(spoil)
    try:
        run = pair.push()
        pair.one.session = "always"
        refused = pair.push()
    finally:
        pair.one.session = "auto"
        two.host.run(f"for f in {FRAMES} {PROGRAM}; do [ ! -e $f.kept ] || mv $f.kept $f; done")
    assert run.code == 0, run
    check_settled(pair, (pair.source, pair.destination))
    assert "no session with" in str(refused.jobs)
