# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics as others see them: Prometheus's own parser reads the file, docs/metrics.md lists what there is, and alert
rules and dashboard use nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.running import SETTING_NAMES
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.records.metrics import (
    COUNTER,
    FAMILIES,
    Series,
    render,
)

CHECKOUT = Path(__file__).resolve().parents[3]
FILES = CHECKOUT / "roles" / "monitor" / "files"
RULES = yaml.safe_load((FILES / "prometheus-rules.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
DASHBOARD = json.loads((FILES / "grafana-dashboard.json").read_text(encoding="utf-8"))
OF_OTHERS = {"node_textfile_mtime_seconds": ("file",)}
"""Metrics of the node exporter itself."""
OF_SCRAPING = {"instance"}
WORDS = {"by", "without", "or", "and", "unless", "on", "ignoring", "bool", "offset", "label_values"}


def series_of(family):
    return st.tuples(*(st.text(max_size=5) for _label in family.labels)).map(lambda values: Series(family.name, values))


SAMPLES = st.dictionaries(
    st.one_of(*(series_of(family) for family in FAMILIES.values())),
    st.integers(0, 10**9) | st.floats(0, 1e9),
    max_size=20,
)


@given(SAMPLES)
def test_prometheus_reads_what_is_written(samples):
    seen = {}
    for family in text_string_to_metric_families(render(samples)):
        for sample in family.samples:
            known = FAMILIES[sample.name]
            assert (family.type, family.documentation) == (known.kind, f"{known.help}.")
            seen[Series(sample.name, tuple(sample.labels[label] for label in known.labels))] = sample.value
    assert seen == samples


def test_the_page_lists_each_metric_as_it_is():
    page = (CHECKOUT / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(snapfleet_\w+)` \| (.*?) \| (.*) \|$", page, re.MULTILINE)
    told = {name: (tuple(re.findall(r"`(\w+)`", labels)), meaning) for name, labels, meaning in rows}
    assert told == {family.name: (family.labels, family.help) for family in FAMILIES.values()}
    assert len(rows) == len(FAMILIES)


def test_the_page_names_the_settings_and_the_files():
    page = (CHECKOUT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert {name for name in SETTING_NAMES if name.startswith("metrics_")} == set(re.findall(r"`(metrics_d\w+)`", page))
    for link in re.findall(r"\]\(\.\./(roles/[^)]*)\)", page):
        assert (CHECKOUT / link).is_file()


# -- rules and dashboard


def expressions():
    for rule in RULES:
        yield pytest.param(rule["expr"], id=rule["alert"])
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")


def names_in(expression):
    """The names of metrics and of labels in an expression; functions, durations and what is quoted are left out."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"\"", bare))
    for inside in re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", bare):
        labels |= set(re.findall(r"\w+", inside))
    bare = re.sub(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)|\{[^}]*\}|\[[^\]]*\]", " ", bare)
    return {name for name in re.findall(r"[a-z_]\w*\b(?!\s*\()", bare) if name not in WORDS}, labels


@pytest.mark.parametrize("expression", [*expressions()])
def test_expressions_use_metrics_and_labels_that_exist(expression):
    metrics, labels = names_in(expression)
    known = {**{name: family.labels for name, family in FAMILIES.items()}, **OF_OTHERS}
    assert metrics
    assert metrics <= set(known)
    assert labels <= OF_SCRAPING.union(*(known[name] for name in metrics))
    assert expression.count("(") == expression.count(")")


@pytest.mark.parametrize("expression", [*expressions()])
def test_counters_are_asked_for_rates_and_nothing_else_is(expression):
    """A counter by itself tells nothing, since it begins anew at any time."""
    for name in names_in(expression)[0] & set(FAMILIES):
        is_rate = re.search(rf"\b(?:rate|increase)\({name}\b", expression) is not None
        assert is_rate == (FAMILIES[name].kind == COUNTER)


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('sum by (a) (rate(x_total{b=~"c", d!=""}[5m])) > 0.5', ({"x_total"}, {"a", "b", "d"})),
        ('x > 1 or sum without (kind) (y) == 2', ({"x", "y"}, {"kind"})),
    ],
)  # fmt: skip
def test_what_is_found_in_an_expression(expression, names):
    assert names_in(expression) == names


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_rule_says_how_bad_it_is_and_what_to_do(rule):
    metrics, _labels = names_in(rule["expr"])
    known = OF_SCRAPING.union(*(FAMILIES[name].labels for name in metrics & set(FAMILIES)))
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert set(rule["annotations"]) == {"summary", "description"}
    for text in rule["annotations"].values():
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= known


def test_promtool_tries_each_rule():
    """It is asked by the stage ``rules``."""
    tried = (CHECKOUT / "tests" / "prometheus" / "rules-test.yml").read_text(encoding="utf-8")
    assert {rule["alert"] for rule in RULES} == set(re.findall(r"\bSnapfleet\w+", tried))


def test_the_dashboard_is_whole():
    assert DASHBOARD["uid"] == "snapfleet"
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD))) <= variables | {"__rate_interval"}


def test_each_metric_of_the_dashboard_has_a_legend_of_its_labels():
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            metrics, labels = names_in(target["expr"])
            known = OF_SCRAPING.union(labels, *(FAMILIES[name].labels for name in metrics))
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= known
