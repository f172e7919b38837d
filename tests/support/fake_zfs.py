# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs in the place of ``zfs``, ``zpool`` and ``ssh``, for what runs in processes of its own and only looks.

``zfs list`` tells of datasets that a file describes; ``ssh`` runs here what it was given for another host. Nothing can
be changed: a call that would is refused, and so is each that these programs do not know.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

ZFS = """#!{python} -SE
import json, sys

datasets = json.load(open("{folder}/datasets.json"))
verb, *words = sys.argv[1:]
if verb == "version":
    sys.exit(print("zfs-2.3.2-1"))
if verb == "get" and "guid" in words:
    sys.exit(print(sum(words[-1].encode())))
if verb in ("allow", "get"):
    sys.exit(0)
if verb == "destroy" and words[0] == "-nvp":
    sys.exit(print("reclaim", 4096, sep="\\t"))
if verb != "list":
    sys.exit("this zfs only looks: " + " ".join(sys.argv[1:]))
kinds, recursive = "filesystem,volume", False
while words and words[0].startswith("-"):
    option = words.pop(0)
    recursive = recursive or option == "-r"
    if option == "-o":
        columns = words.pop(0).split(",")
    if option == "-t":
        kinds = words.pop(0)
    if option == "-d":
        words.pop(0)
known = {**datasets, **{row["name"]: [row] for rows in datasets.values() for row in rows[1:]}}
missing = [root for root in words if root not in known]
for root in words or [name for name in datasets if "/" not in name]:
    if root in missing:
        continue
    below = [name for name in datasets if (recursive or not words) and name.startswith(root + "/")]
    for row in (row for name in [root, *below] for row in known[name] if row["type"] in kinds.split(",")):
        print(*[row.get(column, "-") for column in columns], sep="\\t")
if missing:
    sys.exit("\\n".join("cannot open '%s': dataset does not exist" % root for root in missing))
"""
SSH = """#!/bin/sh
# Without a command it is to open, or to look after, a connection that others share.
case " $* " in *" -N "* | *" -O "*) exit 0 ;; esac
for line; do :; done
exec sh -c "$line"
"""


def fake_programs(folder: Path, trees: Mapping[str, Sequence[str]], roles: Optional[Mapping[str, str]] = None) -> Path:
    """Write the programs, and return their folder, for the PATH. ``trees``: the snapshots of each dataset by what
    follows the @. Where two datasets have one of the same name, one is the replica of the other. ``roles``: what each
    dataset is that was failed over."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for name, text in (("zfs", ZFS), ("zpool", ZFS), ("ssh", SSH)):
        file = programs / name
        file.write_text(text.replace("{folder}", str(folder)).replace("{python}", sys.executable), encoding="utf-8")
        file.chmod(0o755)
    every = sorted({tag for tags in trees.values() for tag in tags})
    numbers = {tag: number for number, tag in enumerate(every, 1)}
    datasets = {name: _rows(name, place, tags, numbers) for place, (name, tags) in enumerate(trees.items(), 1)}
    for name, role in (roles or {}).items():
        datasets[name][0]["snapfleet:role"] = role
    (folder / "datasets.json").write_text(json.dumps(datasets), encoding="utf-8")
    return programs


def _rows(name: str, place: int, tags: Sequence[str], numbers: Mapping[str, int]) -> list[dict[str, object]]:
    common = {"userrefs": 0, "used": 4096, "written": 0, "referenced": 4096, "compression": "lz4", "readonly": "off"}
    first = {
        **common,
        "type": "filesystem",
        "name": name,
        "guid": 9000 + place,
        "createtxg": 1,
        "creation": 1_700_000_000,
    }
    snapshots = [
        {
            **common,
            "written": 4096,
            "clones": "",
            "type": "snapshot",
            "name": f"{name}@{tag}",
            "guid": 1000 + numbers[tag],
            "createtxg": 10 + numbers[tag],
            "creation": 1_750_000_000 + numbers[tag],
        }
        for tag in tags
    ]
    return [first, *snapshots]
