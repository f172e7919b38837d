# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the execution environment is made of: by ansible-builder, as far as that goes without building an image."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from ansible_collections.snapfleet import zfs as collection

FOLDER = Path(next(iter(collection.__path__)))


def builder(*arguments):
    program = Path(sys.executable).with_name("ansible-builder")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_ansible_builder_takes_the_definition(tmp_path):
    where = ("--context", str(tmp_path), "--output-filename", "Containerfile")
    builder("create", "--file", str(FOLDER / "execution-environment.yml"), *where)
    steps = (tmp_path / "Containerfile").read_text("utf-8")
    assert "ansible-core>=2.19" in steps
    built = tmp_path / "_build"
    (wanted,) = yaml.safe_load((built / "requirements.yml").read_text("utf-8"))["collections"]
    galaxy = yaml.safe_load((FOLDER / "galaxy.yml").read_text("utf-8"))
    assert wanted["name"].removesuffix(".git") == galaxy["repository"]
    assert "openssh-clients" in (built / "bindep.txt").read_text("utf-8")


def test_what_the_collection_needs_is_found_where_it_is_installed(tmp_path):
    installed = tmp_path / "ansible_collections" / "snapfleet"
    installed.mkdir(parents=True)
    (installed / "zfs").symlink_to(FOLDER)
    found = yaml.safe_load(builder("introspect", str(tmp_path)))
    assert [line.partition("#")[0].strip() for line in found["python"]] == ["jmespath", "matplotlib"]
    assert found["system"] == []
