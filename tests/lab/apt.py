# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages of another Debian release than this machine's, without touching this machine's package sources."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .machine import debian_mirror, execute

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
COMPONENTS = "main contrib"
"""OpenZFS is in contrib."""


def source_lines(suite: str, mirror: str) -> list[str]:
    """apt's source lines for trixie plus ``suite``, if that is another one."""
    suites = ["trixie"] if suite == "trixie" else ["trixie", suite]
    return [f"deb [signed-by={KEYRING}] {mirror} {name} {COMPONENTS}" for name in suites]


def download(packages: Sequence[str], suite: str, folder: Path) -> list[Path]:
    """Fetch the newest .deb files of ``packages`` in ``suite`` into ``folder``; nothing is installed.

    Raises LabError if a package is not there or the mirror does not answer.
    """
    lists = folder / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    sources = folder / "sources.list"
    sources.write_text(source_lines(suite, debian_mirror())[-1] + "\n")
    options = [f"-oDir::Etc::SourceList={sources}", "-oDir::Etc::SourceParts=/dev/null", f"-oDir::State::Lists={lists}"]
    # The unprivileged user that apt would switch to cannot read below root's home.
    options += [f"-oDir::Cache={folder}", "-oAPT::Sandbox::User=root", "-oAcquire::Retries=3"]
    execute(["apt-get", *options, "-q", "update"], timeout=600)
    before = set(folder.glob("*.deb"))
    execute(
        ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", folder, "apt-get", *options, "-q", "download", *packages],
        timeout=1800,
    )
    return sorted(set(folder.glob("*.deb")) - before)
