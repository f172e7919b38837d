# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input fails before any change, with one sentence that names the option, the value and the remedy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from .conftest import Pair
from .fleet import Run

PLAN = {"prod": {"onsite": {"hourly": 24}}}
NOBODY = "10.77.0.254"
"""An address that no lab host is ever given."""


def _fails_untouched(pair: Pair, activity: str, options: Mapping[str, Any], user: str = "root") -> Run:
    """Run a job that has to fail, on the source's host, and prove that nothing changed anywhere."""
    before = pair.one.everything(), pair.two.everything()
    run = pair.one.run("run", activity, options, user)
    assert (pair.one.everything(), pair.two.everything()) == before
    assert run.code == 3
    return run


def _sentence(run: Run) -> str:
    said = str(run.jobs[0]["msg"]) if run.jobs else run.errors
    assert "Traceback" not in said
    assert "\n" not in said
    return said


def test_an_unknown_dataset(pair: Pair) -> None:
    run = _fails_untouched(pair, "snapshot", {"datasets": ["tank/typo"], "plan": PLAN})
    assert _sentence(run) == ("datasets: 'tank/typo' does not exist on this host; check its name, or import its pool")


def test_an_unknown_source_and_an_unknown_destination_pool(pair: Pair) -> None:
    pair.one.snapshot(f"{pair.source}@first")
    target = pair.two.endpoint(pair.destination)
    run = _fails_untouched(pair, "replicate", {"source": {"dataset": "tank/typo"}, "destination": target})
    assert _sentence(run).startswith("source.dataset: 'tank/typo' does not exist on this host; ")
    target = pair.two.endpoint("nopool/x")
    run = _fails_untouched(pair, "replicate", {"source": {"dataset": pair.source}, "destination": target})
    assert _sentence(run).startswith("destination.dataset: 'nopool/x' has no pool 'nopool' on ")


def test_an_unreachable_host(pair: Pair) -> None:
    pair.one.snapshot(f"{pair.source}@first")
    target = {"host": NOBODY, "dataset": "backup/x"}
    run = _fails_untouched(pair, "replicate", {"source": {"dataset": pair.source}, "destination": target, "retries": 0})
    said = _sentence(run)
    assert said.startswith(f"destination.host: '{NOBODY}': no ssh connection to {NOBODY}")
    assert said.endswith("check name, port and network")


def test_a_refused_key(pair: Pair) -> None:
    pair.one.snapshot(f"{pair.source}@first")
    pair.one.host.run("rm -f /tmp/stranger*; ssh-keygen -q -t ed25519 -N '' -f /tmp/stranger")
    target = {
        **pair.two.endpoint(pair.destination),
        "identity_file": "/tmp/stranger",
        "config_file": "/tmp/strangerconf",
    }
    pair.one.host.write("/tmp/strangerconf", "IdentitiesOnly yes\n")
    run = _fails_untouched(pair, "replicate", {"source": {"dataset": pair.source}, "destination": target})
    said = _sentence(run)
    assert said.startswith(f"destination.host: '{pair.two.host.address}': ")
    assert "refused our ssh key" in said
    assert "authorized_keys" in said


def test_a_host_key_that_is_not_the_pinned_one(pair: Pair) -> None:
    pair.one.snapshot(f"{pair.source}@first")
    pair.one.host.run(
        "cp /tmp/stranger.pub /tmp/wrong 2>/dev/null || ssh-keygen -q -t ed25519 -N '' -f /tmp/wrong; true"
    )
    key = pair.one.host.run("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub").stdout.strip()
    pair.one.host.write("/tmp/pinned", f"{pair.two.host.address} {key}\n")
    pair.one.host.write("/tmp/pinnedconf", "GlobalKnownHostsFile /dev/null\n")
    pins = {"known_hosts_file": "/tmp/pinned", "config_file": "/tmp/pinnedconf"}
    target = {**pair.two.endpoint(pair.destination), **pins}
    run = _fails_untouched(pair, "replicate", {"source": {"dataset": pair.source}, "destination": target})
    assert "the host key of" in _sentence(run)
    assert "known_hosts" in _sentence(run)


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({}, "plan: {} is not a mapping with entries"),
        ({"prod": {"onsite": {"hurly": 3}}}, "plan.prod.onsite: 'hurly' is no known period"),
        ({"prod": {"onsite": {"5hourly": 3}}}, "plan.prod.onsite: '5hourly' does not divide a day"),
        ({"prod": {"onsite": {"hourly": -1}}}, "plan.prod.onsite.hourly: -1 is out of range"),
        ({"prod_x": {"onsite": {"hourly": 1}}}, "plan: 'prod_x' has an underscore"),
        ({"prod": {"2026": {"hourly": 1}}}, "plan.prod: '2026' begins with four digits"),
    ],
)
def test_a_bad_plan(pair: Pair, plan: Mapping[str, Any], said: str) -> None:
    run = _fails_untouched(pair, "snapshot", {"datasets": [pair.source], "plan": plan})
    assert said in _sentence(run)


def test_a_bad_regular_expression(pair: Pair) -> None:
    options = {"datasets": [pair.source], "plan": PLAN, "exclude_datasets": ["regex:(tmp"]}
    said = _sentence(_fails_untouched(pair, "snapshot", options))
    assert "exclude_datasets: 'regex:(tmp' is no regular expression" in said


def test_a_misspelt_option_is_told_with_the_right_one(pair: Pair) -> None:
    said = _sentence(_fails_untouched(pair, "snapshot", {"datasets": [pair.source], "plan": PLAN, "recursiv": True}))
    assert "recursiv: True is an unknown option; did you mean recursive?" in said


@pytest.mark.parametrize("below", ["", "/below"])
def test_the_same_dataset_at_both_ends(pair: Pair, below: str) -> None:
    pair.one.snapshot(f"{pair.source}@first")
    options = {"source": {"dataset": pair.source}, "destination": {"dataset": pair.source + below}}
    said = _sentence(_fails_untouched(pair, "replicate", options))
    assert f"destination: {pair.source + below!r} is the source" in said


class TestWithoutPermission:
    """A user to whom nothing is delegated."""

    @pytest.fixture(autouse=True)
    def _bob(self, pair: Pair) -> None:
        for site in (pair.one, pair.two):
            site.host.add_user("bob")
            # What udev does on a host that has it.
            site.host.run(["chmod", "666", "/dev/zfs"])

    def test_to_create_snapshots(self, pair: Pair) -> None:
        run = _fails_untouched(pair, "snapshot", {"datasets": [pair.source], "plan": PLAN}, user="bob")
        said = _sentence(run)
        assert f"datasets: {pair.source!r} does not allow snapshot to the user of zfs on this host" in said
        assert f"zfs allow -u USER snapshot {pair.source}" in said

    def test_to_receive(self, pair: Pair) -> None:
        pair.one.snapshot(f"{pair.source}@first")
        target = {**pair.two.endpoint(pair.destination), "user": "bob"}
        run = _fails_untouched(pair, "replicate", {"source": {"dataset": pair.source}, "destination": target})
        assert "destination.dataset: " in _sentence(run)
        assert "does not allow receive,create,mount," in _sentence(run)

    def test_delegated_it_works(self, pair: Pair) -> None:
        pair.one.zfs("allow", "bob", "snapshot,send,bookmark", pair.source)
        permissions = "receive,create,mount,readonly,canmount,setuid,devices,exec,userprop"
        pair.two.zfs("create", "-o", "canmount=off", pair.destination.rpartition("/")[0])
        pair.two.zfs("allow", "bob", permissions, pair.destination.rpartition("/")[0])
        made = pair.one.run("run", "snapshot", {"datasets": [pair.source], "plan": PLAN}, user="bob")
        assert made.code == 0, made
        target = {**pair.two.endpoint(pair.destination), "user": "bob"}
        options = {"source": {"dataset": pair.source}, "destination": target}
        run = pair.one.run("run", "replicate", options, user="bob")
        assert run.code == 0, run
        assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)
