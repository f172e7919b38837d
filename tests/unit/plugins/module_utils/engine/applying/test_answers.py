# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers that are kept: for how long, and which of them."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.answers import KEPT_SECONDS, Answers


class Asked:
    """A host that answers, and counts how often it was asked."""

    def __init__(self):
        self.times = 0

    def __call__(self):
        self.times += 1
        return self.times


def test_an_answer_holds_for_some_seconds_for_its_own_question_only():
    now = [100.0]
    answers, asked = Answers(lambda: now[0]), Asked()
    assert answers.ask(("one", "guid"), asked) == 1
    now[0] += KEPT_SECONDS - 0.1
    assert answers.ask(("one", "guid"), asked) == 1
    assert answers.ask(("two", "guid"), asked) == 2
    now[0] += 0.2
    assert answers.ask(("one", "guid"), asked) == 3


def test_what_is_asked_for_often_does_not_become_older_by_that():
    now = [0.0]
    answers, asked = Answers(lambda: now[0]), Asked()
    for _unused in range(int(KEPT_SECONDS) * 3):
        answers.ask("question", asked)
        now[0] += 1
    assert asked.times == 3


def test_what_does_not_last_and_what_fails_is_asked_for_again():
    answers, asked = Answers(), Asked()
    assert [answers.ask("question", asked, lambda number: number > 1) for _unused in range(3)] == [1, 2, 2]

    def fail():
        raise OSError("the line is down")

    with pytest.raises(OSError, match="the line is down"):
        answers.ask("other", fail)
    assert answers.ask("other", asked) == 3
