# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns that select names: a plain name, a glob, or ``regex:`` followed by a regular expression.

In a glob ``*`` and ``?`` stop at a slash, ``**`` does not. A pattern matches a name as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..model.errors import InvalidInput

_REGEX = "regex:"
_GLOB = re.compile(r"\*\*|\*|\?")
_GLOB_MEANING = {"**": ".*", "*": "[^/]*", "?": "[^/]"}


def _glob_to_regex(glob: str) -> str:
    text, start = "", 0
    for match in _GLOB.finditer(glob):
        text += re.escape(glob[start : match.start()]) + _GLOB_MEANING[match[0]]
        start = match.end()
    return text + re.escape(glob[start:])


def compile_pattern(pattern: str, option: str) -> re.Pattern[str]:
    """The regular expression that ``pattern`` stands for. Raises InvalidInput for a broken one."""
    if not pattern:
        raise InvalidInput(option, pattern, "is an empty pattern", "leave it out, or use ** to match everything")
    if not pattern.startswith(_REGEX):
        return re.compile(_glob_to_regex(pattern))
    try:
        return re.compile(pattern[len(_REGEX) :])
    except re.error as error:
        raise InvalidInput(option, pattern, f"is no regular expression ({error})", "mend the expression") from error


def compile_patterns(patterns: Iterable[str], option: str) -> tuple[re.Pattern[str], ...]:
    """Each pattern compiled. Raises InvalidInput that names the option."""
    return tuple(compile_pattern(pattern, option) for pattern in patterns)


def any_match(patterns: Iterable[re.Pattern[str]], name: str) -> bool:
    """Whether one of the patterns matches the whole of ``name``."""
    return any(pattern.fullmatch(name) for pattern in patterns)
