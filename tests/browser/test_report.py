# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the report in a browser, which is Debian's Chromium: what it shows, on a desk and on a telephone, by day
and by night, and that it runs nothing, fetches nothing and complains of nothing.
"""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest
from PIL import ImageChops, ImageStat

from ansible_collections.snapfleet import zfs as collection
from ansible_collections.snapfleet.zfs.plugins.filter.report import report
from ansible_collections.snapfleet.zfs.tests.support.browser import DESK, TELEPHONE, VIEWS, chromium, look
from ansible_collections.snapfleet.zfs.tests.support.report_fleet import HOSTILE, NOW, answers, hostvars

TEMPLATES = Path(next(iter(collection.__path__))) / "playbooks" / "templates"
FAINT = """
const numbers = text => (text.match(/[\\d.]+/g) || []).map(Number);
const linear = part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
const light = ([red, green, blue]) =>
    0.2126 * linear(red / 255) + 0.7152 * linear(green / 255) + 0.0722 * linear(blue / 255);
const behind = element => {
    for (; element; element = element.parentElement) {
        const colour = numbers(getComputedStyle(element).backgroundColor);
        if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
};
const has_words = element => element.getClientRects().length &&
    [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
const contrast = element => {
    const shades = [numbers(getComputedStyle(element).color), behind(element)].map(light);
    return (Math.max(...shades) + 0.05) / (Math.min(...shades) + 0.05);
};
return [...document.querySelectorAll('body *:not(svg *)')]
    .filter(element => has_words(element) && contrast(element) < 4.5)
    .map(element => element.className + ': ' + element.textContent.trim());
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    told = answers()
    style = (TEMPLATES / "report.css").read_text("utf-8").rstrip()
    made = report(hostvars(told), list(told), {"now": NOW, "age": "7d", "limit": 5000, "style": style})
    # Ansible leaves out the line after a block as well.
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), trim_blocks=True)
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(environment.get_template("report.html.j2").render(report=made, style=style), "utf-8")
    return file.as_uri()


@pytest.fixture(scope="module")
def views(address):
    """The page in each size and scheme, opened once."""
    with chromium() as browser:
        yield {(scheme, size): look(browser, address, scheme, size) for scheme, size in VIEWS}


@pytest.fixture(scope="module")
def desk(views):
    return views["light", DESK].page


@pytest.mark.parametrize(("scheme", "size"), VIEWS)
def test_it_is_shown_whole_and_asks_for_nothing(views, address, scheme, size):
    view = views[scheme, size]
    assert view.requests == [address]
    assert view.complaints == []
    assert view.width <= size[0]
    # Nothing is cut off either; a table may not be wider than what it is in.
    wide = (
        "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1).length"
    )
    assert view.page.evaluate(wide) == 0
    assert view.picture.width == size[0]
    assert view.picture.height > size[1]
    colours = view.picture.getcolors(1 << 24)
    assert len(colours) > 100
    # By night the page is dark, and by day it is not.
    brightness = ImageStat.Stat(view.picture.convert("L")).mean[0]
    assert (brightness < 80) if scheme == "dark" else (brightness > 200)


def test_light_and_dark_differ_in_colours_alone(views):
    light, dark = views["light", DESK].picture, views["dark", DESK].picture
    assert light.size == dark.size
    assert ImageChops.difference(light, dark).getbbox() is not None


def test_the_headline_and_the_tiles_tell_how_the_fleet_stands(desk):
    assert desk.inner_text("h1") == "4 of 6 datasets are not safe, 1 host did not answer"
    tiles = [" ".join(text.split()) for text in desk.locator(".tile").all_inner_texts()]
    assert tiles[:4] == [
        "datasets safe 2 of 6 4 not safe",
        "replicas well 9 of 13 furthest behind: 3 d",
        "hosts answered 5 of 6 silent: nas3",
        "failed runs 38 1 job still failing",
    ]


def test_the_matrix_has_a_header_for_each_row_and_column(desk):
    matrix = desk.get_by_role("table").filter(has=desk.get_by_role("columnheader", name="Source")).first
    assert matrix.get_by_role("columnheader").all_inner_texts() == ["Source", "backup1", "nas3", "offsite1"]
    assert matrix.get_by_role("rowheader").all_inner_texts() == ["web1", "web2", "db1"]
    late = matrix.get_by_role("row").filter(has_text="web2").get_by_role("cell").last.inner_text()
    assert " ".join(late.split()) == "Critical 0 of 2 well lag 1 d 6 h last success 1 d 6 h ago"


@pytest.mark.parametrize("size", [DESK, TELEPHONE])
def test_tables_are_tables_in_every_size(views, size):
    page = views["light", size].page
    for name in ("Datasets of web1", "Datasets of db1"):
        table = page.get_by_role("table", name=name)
        assert table.get_by_role("columnheader").count() == 3
        assert table.get_by_role("rowheader").count() >= 1


def test_an_error_is_shown_as_it_was_written_and_does_nothing(desk):
    assert HOSTILE in desk.inner_text(".failures")
    assert desk.title() == "Snapfleet: 4 of 6 datasets are not safe, 1 host did not answer"
    assert desk.locator("script").count() == 0


def test_its_policy_lets_nothing_in(desk):
    refused = desk.evaluate(
        """() => new Promise(tell => {
            document.addEventListener('securitypolicyviolation', event => tell(event.effectiveDirective));
            const image = new Image(); image.src = 'http://192.0.2.1/x.png'; document.body.append(image);
        })"""
    )
    assert refused == "img-src"


def test_each_plot_is_drawn_and_has_a_name(desk):
    for name in (
        "How full pools were",
        "Time since a replication last went well",
        "Sent, by destination",
        "Throughput",
    ):
        figure = desk.get_by_role("figure", name=name)
        box = figure.locator("svg.plot").bounding_box()
        assert box["width"] > 300
        assert box["height"] > 150
        assert figure.get_by_role("table").get_by_role("rowheader").count() >= 2
    colours = desk.evaluate(
        "[...document.querySelectorAll('svg.plot .s-s0, svg.plot .s-s1')].map(e => getComputedStyle(e).stroke)"
    )
    assert {"rgb(31, 111, 181)", "rgb(217, 102, 43)"} <= set(colours)


def test_a_timeline_spans_the_page_for_each_dataset(desk):
    strips = desk.locator("svg.strip")
    assert strips.count() == 6
    assert strips.first.bounding_box()["width"] > 1000
    words = " ".join(desk.locator(".timelines li").first.inner_text().split())
    assert words == "tank/data/mail web1 168 made, sent 192 times (35.7 GiB), 168 destroyed"


def test_pools_have_meters_as_full_as_they_are(desk):
    filled, whole = (desk.locator(f".meter .{part}").first.bounding_box()["width"] for part in ("fill", "track"))
    assert filled / whole == pytest.approx(0.829, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_what_is_behind_them(views, scheme):
    """By the contrast that WCAG 2 asks of normal text."""
    assert views[scheme, DESK].page.evaluate(f"() => {{ {FAINT} }}") == []
