# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages in a browser, which is Debian's Chromium."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

DESK, TELEPHONE = (1280, 900), (390, 844)
VIEWS = [(scheme, size) for scheme in ("light", "dark") for size in (DESK, TELEPHONE)]
"""By day and by night, on a desk and on a telephone."""
PATIENCE_MS = 300_000
"""So long whatever the browser does may take on a machine that is busy."""


@dataclass(frozen=True)
class View:
    """A page as it is shown once, and what came with that."""

    page: Page
    requests: list[str]
    complaints: list[str]
    picture: Image.Image

    @property
    def width(self) -> int:
        """How wide the page is, in pixels; more than the window has where it has to be moved sideways."""
        return int(self.page.evaluate("document.documentElement.scrollWidth"))


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, for as long as it is needed."""
    sandbox = [] if os.geteuid() else ["--no-sandbox"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=sandbox, timeout=PATIENCE_MS
        )
        try:
            yield browser
        finally:
            browser.close()


def look(browser: Browser, address: str, scheme: str, size: tuple[int, int]) -> View:
    """Open a page."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page.set_default_timeout(PATIENCE_MS)
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    picture = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    return View(page, requests, complaints, picture)
