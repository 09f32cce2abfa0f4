"""The report in a real browser: headless Chromium, driven through playwright. Skipped where there is none, unless
GEDANKEN_BROWSER=required says that there must be."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


def unavailable(reason: str) -> None:
    if os.environ.get("GEDANKEN_BROWSER") == "required":
        pytest.fail(f"{reason}, and GEDANKEN_BROWSER=required")
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        unavailable("playwright is not installed")
    with sync_playwright() as driver:
        own = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        try:
            browser = driver.chromium.launch(executable_path=own, args=["--no-sandbox"])
        except Error as error:
            unavailable(f"no Chromium starts ({str(error).splitlines()[0]})")
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page_file(gedanken: Callable[..., Any], run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("browser") / "report.html"
    assert gedanken("report", run, "--out", out).exit_code == 0
    return out


@pytest.fixture
def visit(browser: Any, page_file: Path) -> Iterator[Callable[..., Any]]:
    """Open the page; at the end nothing was said on the console, and nothing was asked of a network."""
    trouble: list[str] = []
    contexts = []

    def open_page(width: int = 1280, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("requestfailed", lambda request: trouble.append(request.url))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or trouble.append(request.url))
        page.on("dialog", lambda dialog: (trouble.append(dialog.message), dialog.dismiss()))
        page.goto(page_file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not trouble


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
def test_nothing_overflows(visit: Callable[..., Any], width: int) -> None:
    page = visit(width)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width


def test_what_if_answers_clicks(visit: Callable[..., Any]) -> None:
    page = visit()
    panel = page.locator(".whatif")
    assert panel.is_visible()
    assert not page.locator("details.static table").first.is_visible()
    assert panel.locator(".futures .board").count() == 3
    verdicts = set()
    for state in range(panel.locator("input[name$=state]").count()):
        panel.locator("input[name$=state]").nth(state).check()
        for action in range(panel.locator("input[name$=step0]").count()):
            panel.locator("input[name$=step0]").nth(action).check()
            verdicts.add(panel.locator(".verdict").inner_text())
    assert verdicts == {"The rules change what is imagined.", "The rules change nothing of what is imagined here."}
    panel.get_by_role("group", name="then").get_by_label("forward").check()
    assert panel.get_by_role("group", name="then").get_by_label("forward").is_checked()
    panel.get_by_role("group", name="then").get_by_label("stop there").check()
    assert panel.get_by_role("group", name="then").get_by_label("stop there").is_checked()


def test_what_if_answers_the_keyboard(visit: Callable[..., Any]) -> None:
    page = visit(375)
    page.locator(".whatif input[name$=step0]").first.check()
    page.locator(".whatif input[name$=step0]:checked").focus()
    page.keyboard.press("ArrowRight")
    chosen = "document.activeElement.parentElement.innerText"
    assert page.evaluate(chosen) == "right"
    page.keyboard.press("Tab")
    assert page.evaluate(chosen) == "stop there"
    outline = "getComputedStyle(document.activeElement.nextElementSibling).outlineStyle"
    assert page.evaluate(outline) == "solid"


def test_it_is_dark_where_that_is_preferred(visit: Callable[..., Any]) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    light, dark = (visit(color_scheme=scheme).evaluate(colour) for scheme in ("light", "dark"))
    assert light != dark
    assert sum(map(int, dark.removeprefix("rgb(").removesuffix(")").split(","))) < 150


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out(visit: Callable[..., Any], scheme: str) -> None:
    """WCAG AA: 4.5 to 1 for every text, against the nearest background that is not transparent."""
    page = visit(color_scheme=scheme)
    low = page.evaluate("""() => {
      const parts = (c) => c.match(/[\\d.]+/g).map(Number);
      const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) =>
        v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
      const behind = (e) => { for (; e; e = e.parentElement) {
        const c = parts(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] === 1) return c; }
        return [255, 255, 255]; };
      const found = [];
      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) {
        const e = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || !e.checkVisibility()) continue;
        if (e.closest("svg, [aria-hidden=true], script")) continue;
        const [a, b] = [light(parts(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) found.push(walker.currentNode.data.trim());
      }
      return found;
    }""")
    assert not low


def test_it_works_without_scripts(visit: Callable[..., Any]) -> None:
    page = visit(375, java_script_enabled=False)
    assert not page.locator(".whatif").is_visible()
    assert page.locator("details.static table").first.is_visible()
