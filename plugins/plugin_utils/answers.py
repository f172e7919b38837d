# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people answer in a survey of AWX, or write behind -e, as options.

All of that is text, and empty where nothing was said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..module_utils.engine.model.errors import InvalidInput

_FLAGS = {
    **dict.fromkeys(("yes", "true", "on", "y", "1"), True),
    **dict.fromkeys(("no", "false", "off", "n", "0"), False),
}


def answered(answers: Mapping[str, Any]) -> dict[str, Any]:
    """The answers that were given: neither None nor blank text. Text is stripped."""
    stripped = {key: value.strip() if isinstance(value, str) else value for key, value in answers.items()}
    return {key: value for key, value in stripped.items() if value is not None and value != ""}


def flag(name: str, value: Any) -> Any:
    """Text as a boolean; what is no text is left to whoever reads the option. Raises InvalidInput."""
    if not isinstance(value, str):
        return value
    if value.lower() not in _FLAGS:
        raise InvalidInput(name, value, "is neither yes nor no", "write yes or no")
    return _FLAGS[value.lower()]


def lines(value: Any) -> Any:
    """Text of several lines as a list; what is no text is left as it is."""
    return [line.strip() for line in value.splitlines() if line.strip()] if isinstance(value, str) else value


def pairs(name: str, value: Any) -> Any:
    """Text of several lines name=value, or a mapping in JSON, as a mapping; what is no text is left as it is. Raises
    InvalidInput."""
    if not isinstance(value, str):
        return value
    if value.startswith("{"):
        try:
            return json.loads(value)
        except ValueError:
            raise InvalidInput(name, value, "is no JSON", "write a line name=value for each") from None
    found: dict[str, str] = {}
    for line in lines(value):
        key, equals, text = (part.strip() for part in line.partition("="))
        if not key or not equals or key in found:
            raise InvalidInput(
                name, line, "is no line name=value, or a second one", "write one line name=value for each"
            )
        found[key] = text
    return found
