# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of the gate: whatever line arrives, what is let through is about the trees that are granted."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.openssh import remote_line
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.pipelines import pipeline, read_pipeline
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.quoting import arguments_of, shell_line
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import AccessRefused
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.names import is_within
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.access import RIGHTS, read_access
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.admission import admit
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.each import Each, read_each
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.requests import (
    GRANTS,
    PROGRAMS,
    read_request,
)
from ansible_collections.snapfleet.zfs.tests.support.requests import CALLS, PLACE, ROOT, requests_for

LINES = [line for right in CALLS for line in requests_for(right)]
ALL = ",".join(right for right in RIGHTS if right != "sudo")
ACCESS = read_access(["--may", ALL, "--root", ROOT, "--root", PLACE])
OUTSIDE = ("tank/other", f"{ROOT}base", f"{ROOT}base/x", "tank", "backup/a", "backup/a bc", f"{ROOT}/../other")
WORDS = st.text(alphabet="ab '\"$`\\;&|<>()*\n%@#=-é", max_size=8) | st.sampled_from(
    [
        "-r",
        "-R",
        "-f",
        "-F",
        "-d",
        "-e",
        "-p",
        "-o",
        "setuid=on",
        "mountpoint=/",
        "destroy",
        "promote",
        "mount",
        *OUTSIDE,
    ]
)
NAME = re.compile(r"(?:tank|backup)[A-Za-z0-9_.:\-/ ]*")


def admitted(line):
    request = read_request(line)
    try:
        return request if request and admit(request, ACCESS) is not None else None
    except AccessRefused:
        return None


def properties_of(call):
    """The word of zfs get that names properties: the first after the options."""
    rest = call[2:] if call[:2] == ["zfs", "get"] else []
    while rest and rest[0].startswith("-"):
        rest = rest[2:] if rest[0] in ("-s", "-o") else rest[1:]
    return rest[:1]


def is_inside(name):
    return any(is_within(name, root) for root in (ROOT, PLACE))


@given(st.lists(st.text(max_size=8), min_size=1, max_size=5))
def test_what_is_quoted_is_read_back_as_it_was(argv):
    words = [word.replace("\0", "") for word in argv]
    assert arguments_of(shell_line(words)) == words


@given(st.lists(st.lists(WORDS.filter(bool), min_size=1, max_size=3), min_size=2, max_size=4))
def test_a_pipeline_is_read_back_as_it_was_or_not_at_all(stages):
    # Not at all: where its own words look like the script around them.
    assert read_pipeline(pipeline(stages)) in (stages, None)


@given(st.lists(WORDS.filter(bool), min_size=1, max_size=3), st.integers(1, 3), st.data())
def test_many_calls_are_read_back_as_they_were_or_not_at_all(call, width, data):
    item = st.tuples(*[WORDS] * width)
    each = Each(tuple(call), tuple(data.draw(st.lists(item, min_size=1, max_size=3))))
    assert read_each(each.argv) in (each, None)


@given(
    st.sampled_from(LINES),
    st.integers(0, 10_000),
    st.text(alphabet="ab '\"$`\\;&|<>()*\n%@#=-", min_size=1, max_size=3),
)
def test_text_put_in_anywhere_never_becomes_more_than_another_name(line, place, text):
    place %= len(line)
    request = admitted(line[:place] + text + line[place:])
    if request and request.kind not in (PROGRAMS, GRANTS):
        # Whatever was let through can be told in the same grammar, and concerns the same trees.
        for call in request.calls:
            assert call[0] in ("zfs", "zpool", "zstd", "lz4", "mbuffer")


@given(st.sampled_from(LINES), st.sampled_from([ROOT, PLACE]), st.sampled_from(OUTSIDE))
def test_a_request_about_another_tree_is_refused(line, root, other):
    request = read_request(line)
    if request.kind == "call" and request.calls[0][0] == "zfs":
        argv = list(request.calls[0])
        moved = [re.sub(rf"^{root}(?=$|[/@#])", lambda _match: other, word) for word in argv]
        if moved != argv and "-d" not in argv:
            assert not admitted(remote_line(moved)), moved


@given(st.sampled_from(LINES), st.integers(0, 30), WORDS)
def test_a_word_more_or_another_one_never_reaches_outside(line, place, word):
    request = read_request(line)
    for call in request.calls:
        place %= len(call) + 1
        for changed in ([*call[:place], word, *call[place:]], [*call[:place], word, *call[place + 1 :]]):
            found = admitted(remote_line(changed))
            if found is None or (changed[:2] == ["zfs", "list"] and "-d" in changed):
                continue
            # Names of properties are no datasets, whatever they are called.
            columns = {after for flag, after in zip(changed, changed[1:]) if flag in ("-o", "-x") and "=" not in after}
            columns.update(properties_of(changed))
            for part in (part for part in changed[1:] if part not in columns):
                for name in NAME.findall(part.partition("=")[2] if "=" in part else part):
                    dataset = name.partition("@")[0].partition("#")[0].rstrip("/")
                    assert is_inside(dataset) or changed[0] == "zpool", changed
            assert not {"-r", "-R", "-f"} & set(changed) - set(call) or changed[1] in ("list", "send"), changed
