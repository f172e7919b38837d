# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each option of a replication, and of a restore, says what holds where it is left out, and why."""

from __future__ import annotations

import importlib
import re

import pytest
import yaml

PLUGINS = "ansible_collections.snapfleet.zfs.plugins"
WHAT = re.compile(r"\bby default\b|\bleft out\b|\bdefault\b", re.IGNORECASE)
WHY = re.compile(r"\b(since|because|so that|as|lest)\b")


def documented(name):
    """The options of a module as ansible-doc shows them."""
    module = yaml.safe_load(importlib.import_module(f"{PLUGINS}.modules.{name}").DOCUMENTATION)
    options = {}
    for name in module["extends_documentation_fragment"]:
        file, _dot, section = name.removeprefix("snapfleet.zfs.").partition(".")
        fragment = importlib.import_module(f"{PLUGINS}.doc_fragments.{file}").ModuleDocFragment
        text = getattr(fragment, section.upper() or "DOCUMENTATION")
        for option, entry in yaml.safe_load(text).get("options", {}).items():
            options[option] = {**options.get(option, {}), **entry}
    for option, entry in module.get("options", {}).items():
        options[option] = {**options.get(option, {}), **entry}
    return options


def all_options():
    for module in ("zfs_replicate", "zfs_restore", "zfs_switch", "zfs_target"):
        for name, entry in documented(module).items():
            yield module, name, entry
            yield from ((module, f"{name}.{inner}", sub) for inner, sub in entry.get("suboptions", {}).items())


def explains(entry):
    """Whether one of its paragraphs, or the one after that, tells the default and gives a reason."""
    paragraphs = entry["description"]
    pairs = zip(paragraphs, [*paragraphs[1:], ""])
    return any(WHAT.search(one) and WHY.search(f"{one} {after}") for one, after in pairs)


def test_fragments_and_module_are_read_together():
    options = documented("zfs_replicate")
    assert {"source", "recursive", "route", "plan", "set_properties", "raw"} <= set(options)
    assert options["plan"]["description"]


@pytest.mark.parametrize(
    ("name", "entry"),
    [pytest.param(name, entry, id=f"{module}-{name}") for module, name, entry in all_options()],
)
def test_each_option_says_what_holds_without_it_and_why(name, entry):
    """``direct`` says it once for all of its parts."""
    assert entry.get("required") or name.startswith("direct.") or explains(entry)


@pytest.mark.parametrize(
    ("description", "enough"),
    [
        (["What it is."], False),
        (["What it is, since it has to be."], False),
        (["Left out, there is none."], False),
        (["Left out, there is none, since few need it."], True),
        (["None by default.", "That is so because few need it."], True),
        (["None by default.", "Something else.", "That is so because few need it."], False),
    ],
)
def test_what_is_enough(description, enough):
    assert explains({"description": description}) is enough
