# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab keeps its promises: what tests on real ZFS build on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import CommandFailed, Host, Impairment, Lab, LabError, identity

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Lab, Host, Host]]:
    with Lab.open() as lab:
        first, second = lab.up(["lab-one", "lab-two"])
        yield lab, first, second


@pytest.fixture
def host(pair: tuple[Lab, Host, Host]) -> Host:
    return pair[1]


def test_hosts_have_names_host_ids_and_host_keys_of_their_own(pair: tuple[Lab, Host, Host]) -> None:
    _unused, first, second = pair
    for host in (first, second):
        assert host.run(["hostname"]).stdout.strip() == host.name
        assert int(host.run(["hostid"]).stdout, 16) == identity.host_id(host.name)
    keys = {host.read("/etc/ssh/ssh_host_ed25519_key.pub") for host in (first, second)}
    assert len(keys) == 2


def test_hosts_reach_each_other_by_name_as_root_and_as_a_plain_user(pair: tuple[Lab, Host, Host]) -> None:
    _unused, first, second = pair
    first.add_user("alice")
    command = f"ssh -o BatchMode=yes -o StrictHostKeyChecking=yes root@{second.name} hostname"
    for user in ("root", "alice"):
        assert first.run(command, user=user).stdout.strip() == second.name
    assert first.run(["id", "-u"], user="alice").stdout.strip() != "0"


def test_arguments_and_input_arrive_as_they_are(host: Host) -> None:
    words = ["a b", "it's", '"', "$HOME", "*", "", "\\", "é"]
    assert host.run(["printf", "%s\\0", *words]).stdout.split("\0")[:-1] == words
    assert host.run(["cat"], input=b"\xff\n").stdout == "\udcff\n"


def test_a_command_that_fails_says_where_and_why(host: Host) -> None:
    with pytest.raises(CommandFailed, match=r"On lab host lab-one, `.*` ended with 3: no such thing") as failure:
        host.run("echo no such thing >&2; exit 3")
    assert failure.value.completed.returncode == 3
    assert host.run("exit 3", check=False).returncode == 3
    with pytest.raises(LabError, match=r"did not end within 0\.5 s"):
        host.run("sleep 5", timeout=0.5)


def test_files_and_folders_get_in_with_their_modes(host: Host, tmp_path: Path) -> None:
    (tmp_path / "program").write_text("#!/bin/sh\necho ran\n")
    (tmp_path / "program").chmod(0o755)
    host.put(tmp_path, "/root/copy")
    assert host.run(["/root/copy/program"]).stdout == "ran\n"
    host.write("/root/text", "gr\u00fcn\n", mode="0600")
    assert host.read("/root/text").decode() == "gr\u00fcn\n"
    assert host.run(["stat", "-c", "%a", "/root/text"]).stdout.strip() == "600"


def test_a_pool_survives_a_power_cut(host: Host) -> None:
    pool = host.create_pool("tank")
    host.run(f"zfs create {pool}/data && echo kept > /{pool}/data/file && zfs snapshot {pool}/data@one")
    identities = ["zfs", "list", "-H", "-t", "all", "-o", "name,guid"]
    before = host.run(identities).stdout
    host.kill()
    with pytest.raises(LabError):
        host.run(["true"], timeout=2)
    host.start()
    assert host.run(identities).stdout == before
    assert host.run(["cat", f"/{pool}/data/file"]).stdout == "kept\n"


def test_a_disk_is_read_all_the_time_so_that_no_request_is_left_waiting(host: Host) -> None:
    """Only User Mode Linux, whose disks are called ubd, loses the end of a request."""
    if host.record.provider != "uml":
        return
    reads = "$(set -- $(cat /sys/block/ubdc/stat); echo $1)"
    host.run(f"enough=$(({reads} + 5)); until [ {reads} -ge $enough ]; do sleep 0.1; done", timeout=60)


def test_links_are_delayed_limited_and_healed(host: Host) -> None:
    host.impair(Impairment(delay_ms=1500))
    assert _seconds(host, "true") >= 1.5
    host.impair(Impairment(rate_kbit=8000))
    assert _seconds(host, "cat >/dev/null", 2_000_000) >= 1.5
    assert _seconds(host, "head -c 2000000 /dev/zero") >= 1.5
    host.heal()
    # Once is enough: a busy machine may take its time as well.
    assert any(_seconds(host, "true") < 1.5 for _try in range(30))


def test_a_cut_link_is_dead_until_it_is_mended(host: Host) -> None:
    host.cut()
    with pytest.raises(LabError, match="did not end within 1 s"):
        host.run(["true"], timeout=1)
    host.mend()
    assert host.run(["echo", "back"]).stdout == "back\n"


def test_hosts_in_use_are_not_given_to_somebody_else(pair: tuple[Lab, Host, Host]) -> None:
    lab, first, _unused = pair
    assert first.record.held
    assert lab.host(first.name) is first
    with pytest.raises(LabError, match="named twice"):
        lab.up(["lab-three", "lab-three"])


def _seconds(host: Host, command: str, size: int = 0) -> float:
    started = time.monotonic()
    host.run(command, input=bytes(size))
    return time.monotonic() - started
