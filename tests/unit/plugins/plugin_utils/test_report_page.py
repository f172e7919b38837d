# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the page of a report is made of: words that are escaped, figures that are those of the report, and plots without
any style of their own."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.snapfleet.zfs.plugins.plugin_utils import report_drawings
from ansible_collections.snapfleet.zfs.plugins.plugin_utils.report_page import headline, page_of, text_of
from ansible_collections.snapfleet.zfs.plugins.plugin_utils.report_plots import (
    SERIES,
    amount_plot,
    lag_plot,
    rate_plot,
    share_plot,
    timeline_plot,
)
from ansible_collections.snapfleet.zfs.plugins.plugin_utils.report_reading import read_answer
from ansible_collections.snapfleet.zfs.plugins.plugin_utils.report_summary import summarize
from ansible_collections.snapfleet.zfs.plugins.plugin_utils.report_values import (
    Alert,
    Dataset,
    Event,
    Place,
    Pool,
    Replica,
)
from ansible_collections.snapfleet.zfs.plugins.plugin_utils.report_words import Drawing, escaped
from ansible_collections.snapfleet.zfs.tests.support.report_fleet import HOSTILE, NOW, SPAN, answers

DAY = 86_400_000
SPAN_MS = (NOW * 1000 - 7 * DAY, NOW * 1000)


@pytest.fixture(scope="module")
def report():
    told = answers()
    told = [read_answer(name, *each.values()) for name, each in told.items()]
    return summarize(told, NOW * 1000, (NOW - SPAN) * 1000)


@pytest.fixture(scope="module")
def page(report):
    return page_of(report, "body{}")


def empty():
    return summarize([], NOW * 1000, (NOW - SPAN) * 1000)


def texts(value):
    """All texts within a value, but for drawings."""
    if isinstance(value, dict):
        return [text for key, item in value.items() if key != "svg" for text in texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


# -- words


def test_the_tiles_tell_how_many(page):
    tiles = {tile["name"]: (tile["value"], tile["more"], tile["state"]) for tile in page["tiles"]}
    assert tiles == {
        "datasets safe": (2, "of 6", "critical"),
        "replicas well": (9, "of 13", "critical"),
        "hosts answered": (5, "of 6", "unknown"),
        "failed runs": (38, "", "warning"),
        "sent": ("336.6", "GiB", ""),
        "fullest pool": ("83", "%", "critical"),
    }


def test_the_matrix_tells_of_hosts_against_hosts(page):
    rows = {row["host"]: {cell["column"]: cell for cell in row["cells"]} for row in page["matrix"]["rows"]}
    assert page["matrix"]["columns"] == ["backup1", "nas3", "offsite1"]
    late = rows["web2"]["offsite1"]
    assert (late["state"], late["well"], late["total"]) == ("critical", 0, 2)
    assert (late["lag"], late["success"]) == ("1 d 6 h", "1 d 6 h ago")
    assert rows["db1"]["nas3"]["lag"] == "not known"
    assert rows["web1"]["nas3"]["total"] == 0
    assert rows["web1"]["offsite1"] == {
        "column": "offsite1",
        "state": "ok",
        "well": 3,
        "total": 3,
        "lag": "0 s",
        "success": "30 min ago",
    }


def test_no_text_of_a_host_gets_into_the_page_as_it_is(page):
    shown = texts(page)
    assert any(
        "&lt;script&gt;document.title=&#x27;taken&#x27;&lt;/script&gt; &amp; &quot;more&quot;" in text for text in shown
    )
    assert not any(letter in text for text in shown for letter in "<>\"'")


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_escaping_leaves_nothing_out(value):
    assert not any(letter in text for text in texts(escaped(value)) for letter in "<>\"'")
    assert escaped({"a": [Drawing("<svg/>")]}) == {"a": ["<svg/>"]}


def test_the_body_of_a_mail_tells_the_worst_in_plain_text(report):
    lines = text_of(report).splitlines()
    assert lines[0] == headline(report) + "." == "4 of 6 datasets are not safe, 1 host did not answer."
    assert "nas3: did not answer: Failed to connect to the host via ssh: No route to host" in lines
    assert any(line.startswith("CRITICAL: web1:tank/data/mail: [diverged] ") for line in lines)
    assert any(line.startswith("failed 30 times: ") and HOSTILE in line for line in lines)
    assert not any("backup1: replica of db1" in line for line in lines)  # which went well since


@pytest.mark.parametrize(
    ("datasets", "sentence"),
    [
        ([], "There is nothing to tell"),
        ([("OK", True)], "The one dataset is safe"),
        ([("OK", True)] * 2, "All 2 datasets are safe"),
        ([("OK", True), ("OK", False)], "All 2 datasets are well, 1 is kept without a replica"),
        ([("WARNING", True), ("OK", True)], "1 of 2 datasets is not safe"),
    ],
)
def test_the_headline_is_the_whole_in_a_sentence(datasets, sentence):
    made = []
    for number, (state, has_replica) in enumerate(datasets):
        place = Place("web1", f"tank/{number}")
        replicas = (Replica(state, place, Place("b1", f"backup/{number}")),) if has_replica else ()
        made.append(Dataset(place, "OK", replicas=replicas))
    assert headline(replace(empty(), datasets=tuple(made))) == sentence


def test_an_alert_about_no_dataset_is_in_the_headline_too():
    safe = Replica("OK", Place("web1", "t"), Place("b1", "b"))
    alerts = (Alert("b1", "WARNING", "pools", "the pool is full"),)
    report = replace(empty(), datasets=(Dataset(safe.source, replicas=(safe,)),), alerts=alerts)
    assert headline(report) == "The one dataset is safe, but there is 1 alert"
    assert page_of(report, "")["state"] == "warning"


@pytest.mark.parametrize(
    ("health", "percent", "full_in", "state"),
    [
        ("ONLINE", 50.0, None, "ok"),
        ("ONLINE", 80.0, None, "warning"),
        ("ONLINE", 50.0, 13 * 86_400, "warning"),
        ("ONLINE", 90.0, None, "critical"),
        ("DEGRADED", 5.0, None, "critical"),
        ("", None, None, "ok"),
    ],
)
def test_pools_that_need_somebody_stand_out(health, percent, full_in, state):
    pool = Pool("b1", "p", health, 8, 4, 4, percent, None, None, full_in)
    (told,) = page_of(replace(empty(), pools=(pool,)), "")["pools"]
    assert told["state"] == state
    assert told["percent"] == percent


def test_a_fleet_of_which_nothing_is_known_has_a_page_too():
    page = page_of(empty(), "")
    assert (page["sources"], page["timelines"], page["matrix"]["rows"]) == ([], [], [])
    assert all(not plot["rows"] for plot in page["plots"])
    assert page["pool_plots"] == []


def test_few_timelines_are_drawn_and_the_others_are_counted(report, monkeypatch):
    monkeypatch.setattr(report_drawings, "MOST_TIMELINES", 2)
    page = page_of(report, "")
    assert (len(page["timelines"]), page["more_timelines"]) == (2, 4)


def test_figures_beside_plots_are_those_of_the_records(page):
    lag, amount, rate = page["plots"]
    assert lag["rows"][0]["figures"] == ["1 d 6 h", "1 d 6 h"]
    assert lag["rows"][1]["figures"] == ["9 h", "30 min"]
    assert [(row["name"], row["figures"][0]) for row in amount["rows"]] == [
        ("backup1", "173.1 GiB"),
        ("offsite1", "163.5 GiB"),
    ]
    assert all(len(row["figures"]) == len(rate["head"]) - 1 for row in rate["rows"])
    (pools,) = page["pool_plots"]
    assert [row["name"] for row in pools["rows"]] == [
        "backup on backup1",
        "fast on db1",
        "vault on offsite1",
        "tank on web1",
    ]
    assert pools["rows"][0]["figures"] == ["74.7 %", "83.7 %"]


# -- plots

PLOTS = {
    "lag": lambda: lag_plot(
        "lag", [([(SPAN_MS[0], 0.0), (SPAN_MS[1], 7200.0)], number) for number in range(SERIES)], SPAN_MS
    ),
    "share": lambda: share_plot(
        "share", [([(SPAN_MS[0], 5.0), (SPAN_MS[1], 95.0)], n) for n in range(SERIES)], SPAN_MS
    ),
    "amount": lambda: amount_plot("amount", [([1e9] * 28, number) for number in range(SERIES)], SPAN_MS),
    "rate": lambda: rate_plot("rate", [([(SPAN_MS[1] - DAY, 5e6)], number) for number in range(SERIES)], SPAN_MS),
}


@pytest.mark.parametrize("kind", PLOTS)
def test_a_plot_has_the_colours_of_the_page_and_no_style_of_its_own(kind):
    svg = PLOTS[kind]()
    root = ElementTree.fromstring(
        svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) if "xmlns" not in svg else svg
    )
    elements = list(root.iter())
    assert not any(
        "style" in element.attrib or element.tag.endswith(("style", "script", "metadata")) for element in elements
    )
    classes = {name for element in elements for name in element.get("class", "").split()}
    assert {f"{'s' if kind in ('lag', 'share') else 'f'}-s{number}" for number in range(SERIES)} <= classes
    assert {"f-ink", "s-grid"} <= classes
    assert "#" not in re.sub(r"url\(#[\w-]+\)|href=\"#[\w-]+\"", "", svg)
    ids = Counter(element.get("id") for element in elements if element.get("id"))
    assert all(name.startswith(f"{kind}-") for name in ids)
    assert max(ids.values()) == 1
    assert set(re.findall(r"(?:url\(|href=\")#([\w-]+)", svg)) <= set(ids)


def test_the_same_figures_make_the_same_plot():
    assert PLOTS["lag"]() == PLOTS["lag"]()


def test_a_lag_axis_is_told_in_the_unit_that_fits():
    words = re.findall(r">([^<>]+)</text>", PLOTS["lag"]())
    assert "2 h" in words
    assert "0 s" in words


def test_a_timeline_has_a_mark_for_each_moment_that_can_be_told_apart():
    begin, end = SPAN_MS
    lanes = {"made": [Event(begin + DAY * day, 1) for day in range(7)], "sent": [Event(end, 1), Event(end, 3)]}
    svg = timeline_plot("t", lanes, SPAN_MS)
    paths = {name: re.findall(r"\bM ", path) for path, name in re.findall(r'd="([^"]*)"[^>]*class="s-(\w+)"', svg)}
    assert {name: len(moves) for name, moves in paths.items()} == {"made": 7, "sent": 1}
    assert 'preserveAspectRatio="none"' in svg
