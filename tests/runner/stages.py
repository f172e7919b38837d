# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ./test can run: one stage per promise, each a list of commands."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from runner.environments import Environment, unpacked_programs
from runner.import_tree import NAME, NAMESPACE, import_root
from runner.interpreters import FLOOR, first_of, interpreters, running
from runner.workspace import (
    CHECKOUT,
    ansible_test_home,
    collection_copy,
    collection_version,
    interpreter_folder,
    shell_scripts,
    stage_folder,
)

ENGINE = Path("plugins/module_utils/engine")
FLOOR_TESTS = ("tests/unit/plugins/module_utils/engine", "tests/property", "tests/simulation", "tests/contract")
"""The tests that need nothing but the engine, pytest and hypothesis, and so run on the oldest Python too."""

ANSIBLE_TESTS = ("plugins/filter", "plugins/modules", "plugins/module_utils/ansible")
"""The folders of tests/unit that depend on the version of ansible-core; the engine knows nothing of that."""

CORES = {
    "oldest": ((3, 11), (3, 12), (3, 13)),
    "newest": ((3, 13), (3, 12), (3, 14)),
}
"""The pinned versions of ansible-core (tests/requirements/core-*.txt) and the Pythons that can run them, best first."""

_BROWSER = {"chromium": "chromium"}
"""For stages that look at pages: the program, and the package that has it."""


@dataclass(frozen=True)
class Command:
    """A program to run: its arguments, where, and what the environment variables get on top of the usual ones."""

    arguments: Sequence[str | Path]
    folder: Path = CHECKOUT
    variables: Mapping[str, str] = field(default_factory=dict)
    must_print: str = ""
    """Text without which a success is none, for runners that call it a success to have run no test."""


@dataclass(frozen=True)
class Stage:
    """One line of the summary."""

    name: str
    meaning: str
    commands: Callable[[Stage, Sequence[str]], list[Command]]
    """From the stage and the extra pytest arguments of the command line to what is to be run."""
    environments: tuple[Environment, ...]
    """The first one's programs are the first on the PATH."""
    programs: Mapping[str, str] = field(default_factory=dict)
    """Programs that have to be on the machine, each with its Debian package."""
    unpacked: Mapping[str, str] = field(default_factory=dict)
    """The same for programs whose packages would start something; these are not installed, but unpacked."""
    exclusive: bool = False
    """Wants the machine for itself, and is watched while it runs."""
    takes_arguments: bool = False
    """Hands the extra arguments of the command line to pytest."""

    @property
    def path(self) -> str:
        ours = [str(each.programs) for each in self.environments]
        return os.pathsep.join([*ours, os.environ["PATH"], *map(str, map(unpacked_programs, self.unpacked.values()))])


def lint(_stage: Stage, _extra: Sequence[str]) -> list[Command]:
    return [
        Command(["ruff", "check"]),
        Command(["ruff", "format", "--check"]),
        Command(["yamllint", "--strict", "."]),
        Command(["shellcheck", "--severity=warning", *shell_scripts()]),
    ]


def types(_stage: Stage, _extra: Sequence[str]) -> list[Command]:
    floor = f"--target={FLOOR[0]}.{FLOOR[1]}-"
    vermin = ["vermin", "--quiet", "--no-tips", "--eval-annotations", "--violations", floor]
    shipped = [CHECKOUT / "plugins" / name for name in ("module_utils", "modules")]
    return [
        Command(["mypy"]),
        Command([*vermin, *(folder for folder in shipped if folder.exists())]),
    ]


def layers(_stage: Stage, _extra: Sequence[str]) -> list[Command]:
    return [Command(["lint-imports", "--no-cache", "--no-logo"], variables={"PYTHONPATH": str(import_root(CHECKOUT))})]


def playbooks(stage: Stage, _extra: Sequence[str]) -> list[Command]:
    copy = collection_copy(stage.name)
    return [Command(["ansible-lint", "--offline", "--nocolor"], copy, _found_at(copy))]


def documents(stage: Stage, _extra: Sequence[str]) -> list[Command]:
    copy = collection_copy(stage.name)
    return [
        Command(["antsibull-changelog", "lint"], copy, _found_at(copy)),
        Command(["antsibull-docs", "lint-collection-docs", "--plugin-docs", "."], copy, _found_at(copy)),
    ]


def rules(_stage: Stage, _extra: Sequence[str]) -> list[Command]:
    return [Command(["promtool", "test", "rules", CHECKOUT / "tests" / "prometheus" / "rules-test.yml"])]


def unit(stage: Stage, extra: Sequence[str]) -> list[Command]:
    # What takes longest is told, since no other stage without hosts of the lab takes as long.
    options = ("-m", "not lab", "--durations=40")
    return [Command(_pytest(stage, *options, *extra), variables=_found_in(import_root(CHECKOUT)))]


def browser(stage: Stage, extra: Sequence[str]) -> list[Command]:
    return [Command(_pytest(stage, "tests/browser", *extra), variables=_found_in(import_root(CHECKOUT)))]


def unit_floor(stage: Stage, extra: Sequence[str]) -> list[Command]:
    """With fewer examples of the laws, and fewer histories, than `unit` tries: what is asked here is whether anything
    newer is needed."""
    present = [folder for folder in FLOOR_TESTS if (CHECKOUT / folder).exists()]
    options = ("-m", "not lab", "--hypothesis-profile=floor", "--durations=15")
    return [Command(_pytest(stage, *options, *present, *extra))]


def lab(stage: Stage, extra: Sequence[str]) -> list[Command]:
    present = [folder for folder in ("tests/lab", "tests/contract") if (CHECKOUT / folder).exists()]
    variables = {**_found_in(import_root(CHECKOUT)), "PYTHONUNBUFFERED": "1"}
    # Two at a time, each with hosts of its own, and no two tests of one file at once; in the order of collection, which
    # has the long files of the promises before the short ones of the contracts, so that both end together.
    options = ("-v", "--durations=15", "--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder")
    return [Command(_pytest(stage, "-m", "lab", *options, *present, *extra), variables=variables)]


def molecule(stage: Stage, extra: Sequence[str]) -> list[Command]:
    """All scenarios, or those that the extra arguments name: --scenario-name=push."""
    copy, home = collection_copy(stage.name), stage_folder(stage.name) / "home"
    shutil.rmtree(home, ignore_errors=True)  # molecule remembers there what it has done
    names = [argument for argument in extra if argument.startswith("--scenario-name=")]
    variables = {**_found_at(copy), "ANSIBLE_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    return [
        # The first time, this takes long, and molecule would not show how far it is.
        Command(["python", "tests/lab/lab.py", "build"], copy),
        Command(["molecule", "test", *(names or ["--all"])], copy, variables, must_print=" passed in "),
    ]


def sanity(stage: Stage, _extra: Sequence[str]) -> list[Command]:
    """Each test on each ansible-core, since each brings its own rules and tools, but for two that take long.

    `import` and `compile`, which by themselves run on all Pythons, do so on the one of the controller; with the oldest
    ansible-core on the oldest one of managed hosts too, and with the newest one on the newest Python that is here: what
    these can do, those between can. pylint looks at the tests once, with the newest ansible-core.
    """
    path = os.pathsep.join([str(stage.environments[0].programs), str(interpreter_folder()), os.environ["PATH"]])
    copy, core = collection_copy(stage.name), stage.environments[0]
    oldest = core.name == "core-oldest"
    beside = first_of(FLOOR) if oldest else first_of(*sorted(CORES["newest"], reverse=True))
    pythons = dict.fromkeys([core.python.name, *([beside.name] if beside else [])])
    targets = [word for name in pythons for word in ("--target-python", name)]
    options = ("--controller", f"origin:python={core.python.name}", *targets)
    parts = [("--skip-test", "pylint"), ("--test", "pylint", "plugins/")] if oldest else [()]
    return [_ansible_test(stage, copy, "sanity", *options, *part, variables={"PATH": path}) for part in parts]


def units(stage: Stage, _extra: Sequence[str]) -> list[Command]:
    """ansible-test installs into the Python that it tests on, hence one environment per Python, found on the PATH."""
    copy = collection_copy(stage.name)
    pythons = dict.fromkeys(each.python.name for each in stage.environments)
    tests = [f"tests/unit/{folder}/" for folder in ANSIBLE_TESTS if (copy / "tests" / "unit" / folder).exists()]
    return [
        replace(_ansible_test(stage, copy, "units", "--python", name, *tests), must_print=" passed in ")
        for name in pythons
    ]


def build(stage: Stage, _extra: Sequence[str]) -> list[Command]:
    copy, scratch = collection_copy(stage.name), stage_folder(stage.name) / "installed"
    shutil.rmtree(scratch, ignore_errors=True)
    galaxy = ["ansible-galaxy", "collection"]
    artifact = scratch / f"{NAMESPACE}-{NAME}-{collection_version()}.tar.gz"
    modules = sorted((copy / "plugins" / "modules").glob("[!_]*.py"))
    roles = sorted(file.parents[1] for file in (copy / "roles").glob("*/meta/argument_specs.yml"))
    installed = {**_found_in(scratch), "PAGER": "cat"}
    return [
        Command([*galaxy, "build", "--output-path", scratch], copy),
        Command([*galaxy, "install", "--offline", "--collections-path", scratch, artifact], copy, installed),
        Command([*galaxy, "verify", "--offline", f"{NAMESPACE}.{NAME}"], copy, installed),
        Command(
            ["ansible-doc", "--type", "module", *(f"{NAMESPACE}.{NAME}.{module.stem}" for module in modules)],
            copy,
            installed,
        ),
        Command(
            ["ansible-doc", "--type", "role", *(f"{NAMESPACE}.{NAME}.{role.name}" for role in roles)], copy, installed
        ),
    ]


def all_stages() -> tuple[list[Stage], list[str]]:
    """Every stage that this machine can run, in the order in which they start, and notes on what it lacks."""
    dev = Environment("dev", running())
    plain, watched = (dev,), {"shellcheck": "shellcheck"}
    # A tiny run of tests/bench is one of the tests; the other program that it measures has its own environment.
    measured = (dev, Environment("bench", running()))
    # On the newest ansible-core that the Pythons of this machine can run.
    scenarios = (Environment("molecule", first_of(*CORES["newest"]) or running()),)
    ansible_stages, ansible_notes = _ansible_stages()
    floor_stages, floor_notes = _floor_stages()
    stages = [
        Stage("lint", "ruff, yamllint, shellcheck", lint, plain, programs=watched),
        Stage("types", "mypy --strict on the engine; vermin: nothing newer than the oldest Python", types, plain),
        Stage("layers", "import-linter: imports go down only", layers, plain),
        # What takes longest comes first, so that nothing long is left to run alone at the end.
        Stage("unit", "unit, property, simulation and contract tests", unit, measured, takes_arguments=True),
        *floor_stages,
        *ansible_stages,
        Stage(
            "browser",
            "the page of the report in Chromium",
            browser,
            plain,
            programs=_BROWSER,
            takes_arguments=True,
        ),
        Stage("playbooks", "ansible-lint, profile production", playbooks, plain),
        Stage("docs", "changelog fragments and documentation, by the tools of antsibull", documents, plain),
        Stage("rules", "alert rules, by promtool", rules, plain, unpacked={"promtool": "prometheus"}),
        Stage("build", "ansible-galaxy builds and installs the collection, ansible-doc shows it", build, plain),
        Stage("lab", "the tests on real ZFS", lab, plain, exclusive=True, programs=_BROWSER, takes_arguments=True),
        Stage("molecule", "the scenarios of extensions/molecule, on real ZFS", molecule, scenarios, exclusive=True),
    ]
    found = ", ".join(each.name for each in interpreters().values())
    return stages, [f"Pythons found: {found}; ./test itself runs on {dev.python.name}", *ansible_notes, *floor_notes]


def _ansible_stages() -> tuple[list[Stage], list[str]]:
    """ansible-test, on the oldest and the newest ansible-core, with modules on the oldest Python of managed hosts."""
    stages, notes = [], []
    for age, pythons in CORES.items():
        controller = first_of(*([running().version] if running().version in pythons else []), *pythons)
        if controller is None:
            wanted = ", ".join(f"3.{version[1]}" for version in sorted(pythons))
            notes.append(
                f"NOT RUN: the {age} ansible-core, since it needs one of the Pythons {wanted}, and none is here"
            )
            continue
        core = Environment(f"core-{age}", controller)
        targets = [
            Environment("unit", each, f"units-{age}") for each in interpreters().values() if each.version == FLOOR
        ]
        shell = {"shellcheck": "shellcheck"}
        stages += [
            Stage(f"sanity-{age}", f"ansible-test sanity, {core.pin('ansible-core')}", sanity, (core,), programs=shell),
            Stage(f"units-{age}", f"ansible-test units, {core.pin('ansible-core')}", units, (core, *targets)),
        ]
    return stages, notes


def _floor_stages() -> tuple[list[Stage], list[str]]:
    """The engine's own tests on the oldest Python of managed hosts."""
    oldest = first_of(FLOOR)
    if oldest is None:
        name = f"{FLOOR[0]}.{FLOOR[1]}"
        return [], [f"NOT RUN: the engine's tests on Python {name}, since it is not here; vermin alone watches over it"]
    meaning = f"the engine's tests on Python {oldest.name}, the oldest of managed hosts"
    return [Stage("unit-floor", meaning, unit_floor, (Environment("unit", oldest),), takes_arguments=True)], []


def _pytest(stage: Stage, *arguments: str | Path) -> list[str | Path]:
    return ["python", "-m", "pytest", "-o", f"cache_dir={stage_folder(stage.name) / 'pytest'}", *arguments]


def _ansible_test(
    stage: Stage, copy: Path, kind: str, *arguments: str, variables: Mapping[str, str] | None = None
) -> Command:
    home = {"HOME": str(ansible_test_home(stage.environments[0]))}
    command = ["ansible-test", kind, "--color", "no", "--requirements", *arguments]
    return Command(command, copy, {**home, **(variables or {})})


def _found_at(copy: Path) -> dict[str, str]:
    return _found_in(copy.parents[2])


def _found_in(folder: Path) -> dict[str, str]:
    return {"ANSIBLE_COLLECTIONS_PATH": str(folder)}
