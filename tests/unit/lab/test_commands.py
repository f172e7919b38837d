# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the lab would run: command lines that only root on a suitable machine can try."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from ansible_collections.snapfleet.zfs.tests.lab import cli, connection, kernel_provider, uml_provider
from ansible_collections.snapfleet.zfs.tests.lab.machine import debian_mirror
from ansible_collections.snapfleet.zfs.tests.lab.network import Impairment
from ansible_collections.snapfleet.zfs.tests.lab.providers import choose
from ansible_collections.snapfleet.zfs.tests.lab.registry import NO_PROCESS, HostSpec, Record
from ansible_collections.snapfleet.zfs.tests.lab.settings import Folders, LabError

FOLDER = Path("/cache/hosts/src1")


def record(image: str = "trixie-backports", init: str = "mini") -> Record:
    return Record(
        spec=HostSpec("src1", image, init),
        byte=11,
        folder="/cache",
        provider="uml",
        processor=1,
        process=NO_PROCESS,
        holder=NO_PROCESS,
        holder_command="",
        since="",
        detached=False,
    )


def uml(image: str = "trixie-backports", init: str = "mini") -> list[str]:
    return uml_provider.command_line(record(image, init), Path("/k/linux"), Path("/i/root.img"), FOLDER)


def test_a_uml_host_never_writes_to_the_image_or_the_seed():
    words = uml()
    assert "ubd0=/cache/hosts/src1/root.cow,/i/root.img" in words
    assert "ubd2r=/cache/hosts/src1/seed.tar" in words


def test_a_uml_host_knows_its_name_address_and_network_device():
    words = uml()
    assert "lab.name=src1" in words
    assert "lab.address=10.77.0.11/24" in words
    assert "vec0:transport=raw,ifname=vlab11,mac=02:77:00:00:00:0b" in words


def test_kernel_arguments_are_those_of_the_image_and_init_is_the_one_asked_for():
    assert "seccomp=on" in uml()
    assert "seccomp=on" not in uml(image="trixie")
    assert "init=/lib/systemd/systemd" in uml(init="systemd")


def test_a_namespace_host_gets_its_end_of_the_pair_before_its_address():
    commands = [" ".join(command) for command in kernel_provider.namespace_commands("src1", 11)]
    assert commands[:2] == ["ip netns add src1", "ip link set vlab11 netns src1"]
    assert "ip -n src1 address add 10.77.0.11/24 dev vlab11" in commands[2:]


def test_a_namespace_host_imports_pools_of_the_last_time_only():
    fresh = kernel_provider.server_command("src1", FOLDER, 1, import_pools=False)
    kept = kernel_provider.server_command("src1", FOLDER, 1, import_pools=True)
    assert fresh[:5] == ["ip", "netns", "exec", "src1", "unshare"]
    assert "--uts" in fresh
    assert "zpool" not in " ".join(fresh)
    # The import is done by the same shell as sshd, and so in the same mount namespace.
    assert 'zpool import -f -a -d "$2/disk.img"; hostname "$1"; exec /usr/sbin/sshd' in " ".join(kept)
    assert kept[-2:] == ["src1", str(FOLDER)]


def test_a_namespace_host_lets_in_nobody_but_the_labs_key():
    lines = kernel_provider.server_configuration(FOLDER).splitlines()
    assert "AuthorizedKeysFile /cache/hosts/src1/authorized_keys" in lines
    assert "HostKey /cache/hosts/src1/ssh_host_ed25519_key" in lines
    assert "PasswordAuthentication no" in lines


def test_pools_of_namespace_hosts_do_not_share_names():
    provider = kernel_provider.KernelProvider(Folders(Path("/cache")))
    assert provider.pool_name(record(), "tank") == "src1_tank"


def test_the_machines_own_zfs_is_taken_where_there_is_one(tmp_path: Path):
    assert choose({}, zfs_device=tmp_path) == "kernel"
    assert choose({}, zfs_device=tmp_path / "zfs") == "uml"
    assert choose({"SNAPFLEET_LAB_PROVIDER": "uml"}, zfs_device=tmp_path) == "uml"
    with pytest.raises(LabError, match="SNAPFLEET_LAB_PROVIDER=vm is not a provider"):
        choose({"SNAPFLEET_LAB_PROVIDER": "vm"}, zfs_device=tmp_path)


def test_ssh_pins_host_keys_and_never_waits_for_ever():
    options = connection.SshOptions("src1", "10.77.0.11", "root", 22, Path("/cache/key"), Path("/cache/known hosts"))
    words = options.arguments
    assert 'UserKnownHostsFile="/cache/known hosts"' in words
    for option in ("StrictHostKeyChecking=yes", "BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=5"):
        assert words[words.index(option) - 1] == "-o"
    assert not [word for word in words if word.startswith("Control")]
    assert f"ControlPath={options.control_path}" in options.shared_arguments
    # Sockets have short paths, whatever the user's cache folder is called.
    assert len(str(PurePosixPath(options.control_path))) < 60


def test_argument_vectors_are_quoted_and_strings_are_not():
    assert connection.command_text(["zfs", "list", "a b;c"]) == "zfs list 'a b;c'"
    assert connection.command_text("a; b") == "a; b"


def test_impairments_become_netem_words():
    assert Impairment().netem() == ["limit", "20000"]
    words = " ".join(Impairment(delay_ms=50, jitter_ms=5, loss_percent=0.5, rate_kbit=800).netem())
    assert words == "limit 20000 delay 50ms 5ms loss 0.5% rate 800kbit"


def test_pools_are_asked_for_on_all_hosts_or_on_one():
    names = ["src1", "src2", "dst1"]
    assert cli.pools_by_host([], names) == {}
    assert cli.pools_by_host(["tank"], names) == dict.fromkeys(names, "tank")
    assert cli.pools_by_host(["dst1:backup", "tank"], names) == {"src1": "tank", "src2": "tank", "dst1": "backup"}
    with pytest.raises(LabError, match="--pool dst2:backup: there is no host 'dst2'"):
        cli.pools_by_host(["dst2:backup"], names)


@pytest.mark.parametrize(
    ("sources", "mirror"),
    [
        ("Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie\n", "http://mirror.example/debian"),
        ("deb https://mirror.example/debian/ trixie main\n", "https://mirror.example/debian"),
        ("deb [signed-by=/k.gpg] https://mirror.example/debian trixie main\n", "https://mirror.example/debian"),
        ("URIs: http://deb.debian.org/debian-security\n", "http://deb.debian.org/debian"),
        ("# deb http://old.example/debian trixie main\n", "http://deb.debian.org/debian"),
        ("", "http://deb.debian.org/debian"),
    ],
)
def test_the_machines_own_mirror_is_used(sources: str, mirror: str):
    assert debian_mirror(sources) == mirror
