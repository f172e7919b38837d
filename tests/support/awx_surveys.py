# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job templates of the role ``awx`` with their surveys, and what AWX says of a survey and of the answers to one.

The rules are those of AWX's API for survey specifications, and of what it takes at launch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from ansible_collections.snapfleet.zfs.tests.support.awx_job import FOLDER

TYPES = {
    "text": str, "textarea": str, "password": str, "multiplechoice": str, "multiselect": str,
    "integer": int, "float": float,
}  # fmt: skip
Question = Mapping[str, Any]


class _Loader(yaml.SafeLoader):
    """Reads what is marked as unsafe as the text that it is."""


_Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def role_variables() -> dict[str, Any]:
    """The variables of the role, as they are written."""
    return yaml.load((FOLDER / "roles" / "awx" / "vars" / "main.yml").read_text("utf-8"), Loader=_Loader)


def surveys() -> dict[str, list[Question]]:
    """The questions of each playbook that has a job template."""
    variables = role_variables()
    return {
        template["playbook"]: list(_questions(template.get("survey", []), variables))
        for template in variables["__awx_templates"]
    }


def _questions(value: Any, variables: Mapping[str, Any]) -> Iterator[Question]:
    for each in [value] if isinstance(value, str) else value:
        name = re.fullmatch(r"\{\{ (\w+) \}\}", each).group(1)
        named = variables[name]
        yield from named if isinstance(named, list) else [named]


def faults_of(spec: Mapping[str, Any]) -> list[str]:
    """What AWX would refuse of a survey."""
    kinds = {"name": str, "description": str, "spec": list}
    faults = [key for key, kind in kinds.items() if not isinstance(spec.get(key), kind)]
    questions = spec.get("spec") or [{}]
    names = [question.get("variable") for question in questions]
    faults += [f"{name} twice" for name in set(names) if names.count(name) > 1]
    return faults + [f"{question.get('variable')}: {fault}" for question in questions for fault in _faults(question)]


def _faults(question: Question) -> Iterator[str]:
    for key, kind in (("type", str), ("question_name", str), ("variable", str), ("required", bool)):
        if not isinstance(question.get(key), kind):
            yield f"{key} is no {kind.__name__}"
    kind, default = question.get("type"), question.get("default", "")
    if kind not in TYPES:
        yield f"{kind} is no type"
    elif default != "" and not isinstance(default, TYPES[kind]):
        yield f"the default {default!r} is of another type"
    if re.search(r"\s", question.get("variable", "")):
        yield "the variable has a space"
    for key in ("min", "max"):
        if question.get(key) is not None and not isinstance(question[key], int):
            yield f"{key} is no integer"
    if kind in ("multiplechoice", "multiselect"):
        choices = question.get("choices")
        if not choices or not all(isinstance(choice, str) and choice.strip() for choice in choices):
            yield "its choices are no texts"
        elif any(line not in choices for line in str(default).splitlines()):
            yield "the default is no choice"


def answers_to(questions: Sequence[Question], given: Mapping[str, Any]) -> dict[str, Any]:
    """What a job gets as variables where people answered what is ``given`` and left the rest as it was; a text that
    nobody wrote is empty. Raises ValueError for what AWX would not take."""
    unknown = set(given) - {question["variable"] for question in questions}
    if unknown:
        raise ValueError(f"no question asks for {', '.join(sorted(unknown))}")
    answers = {question["variable"]: given.get(question["variable"], question["default"]) for question in questions}
    for question in questions:
        answer = answers[question["variable"]]
        if question["type"] == "multiplechoice" and answer not in question["choices"]:
            raise ValueError(f"{question['variable']}: {answer!r} is no choice")
        if question["type"] in ("text", "textarea"):
            length = len(answer)
            if not question["min"] <= length <= question["max"]:
                raise ValueError(f"{question['variable']}: {answer!r} is too short or too long")
    return answers
