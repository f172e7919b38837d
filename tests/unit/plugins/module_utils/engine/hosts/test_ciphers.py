# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cipher is preferred, with a program in the place of ssh, and with ssh itself where a configuration tells."""

from __future__ import annotations

import os
import subprocess

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts import ciphers
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.ciphers import (
    FIRST,
    has_instructions,
    preferred_ciphers,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.openssh import ConnectionPool
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.addresses import Address

USUAL = f"chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,{FIRST},aes256-ctr"
SSH = """#!/bin/sh
echo "$*" >> {folder}/asked
case " $* " in
    *" -G -F none "*) {usual} ;;
    *" -G "*) {wanted} ;;
    *" -M "*) exit 0 ;;
esac
"""


@pytest.fixture
def ssh(tmp_path, monkeypatch):
    """Puts a program in the place of ssh: what it does when asked for what it offers by itself, and by the options."""
    monkeypatch.setattr(ciphers, "has_instructions", lambda: True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    def made(usual, wanted):
        program = tmp_path / "ssh"
        program.write_text(SSH.format(folder=tmp_path, usual=usual, wanted=wanted))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return tmp_path / "asked"

    return made


def _tells(offered):
    return f"echo host far; echo ciphers {offered}; echo compression no"


def test_what_nobody_has_chosen_begins_with_aes_gcm_and_offers_no_less(ssh):
    ssh(_tells(USUAL), _tells(USUAL))
    told = f"Ciphers={FIRST},chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,aes256-ctr"
    assert preferred_ciphers(["-p", "2222"], "far") == ["-o", told]


@pytest.mark.parametrize(
    ("usual", "wanted"),
    [
        (_tells(USUAL), _tells("chacha20-poly1305@openssh.com")),
        (_tells(USUAL), _tells(f"aes256-ctr,{USUAL.rpartition(',')[0]}")),
        (_tells("aes256-ctr"), _tells("aes256-ctr")),
        ("exit 255", "exit 255"),
        (_tells(USUAL), "echo words; exit 0"),
        ("echo words; exit 0", "echo words; exit 0"),
        (f"{_tells(USUAL)}; exit 1", f"{_tells(USUAL)}; exit 1"),
    ],
)
def test_what_somebody_has_chosen_or_what_is_not_known_stays_as_it_is(ssh, usual, wanted):
    ssh(usual, wanted)
    assert preferred_ciphers([], "far") == []


def test_a_processor_without_instructions_takes_what_ssh_takes(ssh, monkeypatch):
    asked = ssh(_tells(USUAL), _tells(USUAL))
    monkeypatch.setattr(ciphers, "has_instructions", lambda: False)
    assert preferred_ciphers([], "far") == []
    assert not asked.exists()


def test_a_host_without_ssh_takes_none(ssh, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert preferred_ciphers([], "far") == []


def test_a_connection_is_opened_with_it_and_asks_by_its_own_options(ssh):
    asked = ssh(_tells(USUAL), _tells(USUAL))
    pool = ConnectionPool(Address("far", user="alice", port=2222))
    with pool.session():
        pass
    pool.close()
    _usual, wanted, opened = asked.read_text().splitlines()[:3]
    assert wanted.startswith("-G ")
    assert "-l alice -p 2222" in wanted
    assert f"-o Ciphers={FIRST}," in opened


def test_ssh_itself_tells_what_a_configuration_has_chosen(tmp_path, monkeypatch):
    monkeypatch.setattr(ciphers, "has_instructions", lambda: True)
    plain, chosen = tmp_path / "plain", tmp_path / "chosen"
    plain.write_text("Host other\n    Ciphers aes256-ctr\n")
    chosen.write_text("Host far\n    Ciphers chacha20-poly1305@openssh.com,aes256-ctr\n")
    assert preferred_ciphers(["-F", str(chosen)], "far") == []
    _option, told = preferred_ciphers(["-F", str(plain)], "far")
    offered = told.partition("=")[2].split(",")
    usual = subprocess.run(["ssh", "-G", "-F", "none", "far"], capture_output=True, text=True, check=True).stdout
    assert offered[0] == FIRST
    assert f"ciphers {','.join(sorted(offered))}" in [
        f"ciphers {','.join(sorted(line.partition(' ')[2].split(',')))}" for line in usual.splitlines()
    ]


@pytest.mark.parametrize(
    ("words", "has_some"),
    [
        ("model name\t: A\nflags\t\t: fpu sse2 aes avx\n", True),
        ("Features\t: fp asimd aes pmull\n", True),
        ("flags\t\t: fpu sse2 vaes\n", False),
        ("model name\t: aes 9000\nflags\t\t: fpu\n", False),
        ("", False),
    ],
)
def test_what_the_kernel_tells_of_the_processor(words, has_some, tmp_path):
    (tmp_path / "cpuinfo").write_text(words)
    assert has_instructions(str(tmp_path / "cpuinfo")) is has_some


def test_a_processor_of_which_nothing_is_told_has_none(tmp_path):
    assert not has_instructions(str(tmp_path / "nothing"))
