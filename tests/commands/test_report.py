"""The report's page: what it says of a run, that it is one file and escapes what others wrote, and what it makes of
damaged folders."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
PNG = b"\x89PNG"
HOSTILE = "<script>alert('told')</script> & \"quotes\""


class Page(HTMLParser):
    """Text, tags with their attributes, and what the page would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._skipped = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._skipped = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._skipped:
            self._skipped = ""

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def of(self, tag: str, kind: str = "") -> list[dict[str, str | None]]:
        return [a for t, a in self.tags if t == tag and (not kind or kind in (a.get("class") or "").split())]


@pytest.fixture(scope="module")
def html(gedanken: Run, run: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("report") / "report.html"
    result = gedanken("report", run, "--out", out)
    assert result.exit_code == 0, result.output
    return out.read_text()


def test_everything_that_was_asked_for_is_on_the_page(html: str, tiny: str) -> None:
    page = Page(html)
    assert page.text.count(tiny) >= 2
    for heading in ("Results", "What it was told, and what became of it", "How it learned", "Imagined and real",
                    "Where and why it failed", "What if", "What it costs"):
        assert heading in page.text
    assert "Picking up a key puts it in your hand and leaves the cell ahead empty." in page.text
    assert "When you choose toggle and" in page.text    # a rule in words
    assert "nats a transition" in page.text    # its effect on the held-out error
    assert "0 of 2 episodes" not in page.text
    assert "2 of 2 episodes were not solved" in page.text
    assert len(page.of("svg", "board")) > 10
    assert len(page.of("figure", "chart")) >= 2
    assert "imagined steps a decision" in page.text
    assert len(html) < 2_000_000


def test_a_sentence_that_was_refused_is_said_with_the_reason(html: str) -> None:
    text = Page(html).text
    assert "Not taken in." in text
    assert "no language model; write it as a rule line" in text


def test_it_is_one_file_that_loads_nothing(html: str) -> None:
    page = Page(html)
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            value = attributes.get(name) or ""
            assert not value or value.startswith(("#", "data:")), (tag, name, value)
    assert not re.search(r"@import|url\(", html)
    assert [tag for tag, _ in page.tags if tag in ("iframe", "object", "embed", "link", "img", "base")] == ["link"]
    [policy] = [a["content"] or "" for a in page.of("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'sha256-" in policy


def test_what_others_wrote_is_data(html: str) -> None:
    page = Page(html)
    assert HOSTILE in page.text
    assert "alert('told')</script>" not in html
    scripts = page.of("script")
    assert [a.get("type") for a in scripts] == ["application/json", None]
    assert not [name for _, a in page.tags for name in a if name.startswith("on")]


def test_the_page_reads_without_seeing(html: str) -> None:
    page = Page(html)
    assert [a["lang"] for a in page.of("html")] == ["en"]
    assert len(page.of("h1")) == 1
    ids = [a["id"] for _, a in page.tags if a.get("id")]
    assert len(ids) == len(set(ids))
    assert {(a["href"] or "")[1:] for a in page.of("a")} | {(a["href"] or "")[1:] for a in page.of("use")} <= set(ids)
    drawn = [a for a in page.of("svg") if a.get("aria-hidden") != "true"]
    assert all(a.get("role") == "img" and a.get("aria-label") for a in drawn)


def test_the_static_table_and_the_data_of_what_if_agree(html: str) -> None:
    [data] = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html, re.S)
    panel = json.loads(data)
    assert panel["actions"][:3] == ["left", "right", "forward"]
    assert panel["depth"] == 2
    for state in panel["states"]:
        singles = [key for key in state["cases"] if "." not in key]
        assert len(singles) == len(panel["actions"])
        assert len(state["cases"]) == len(singles) + len(singles) ** 2
        assert all(f'<symbol id="{case[side]["b"]}"' in html for case in state["cases"].values() for side in "lr")
    assert any(case["l"] != case["r"] and case["f"] for s in panel["states"] for case in s["cases"].values())


def test_two_runs_share_the_curves_and_figures_are_png(gedanken: Run, run: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    other = Path(shutil.copytree(run, tmp_path / "other"))
    out, figures = tmp_path / "two.html", tmp_path / "figures"
    result = gedanken("report", run, other, "--out", out, "--figures", figures)
    assert result.exit_code == 0, result.output
    text = Page(out.read_text()).text
    assert "The runs" in text
    assert "mean of 2 runs" in text
    written = {path.name: path.read_bytes() for path in figures.iterdir()}
    assert {"episodes-solved.png", "other-rules.png"} <= set(written)
    assert all(content.startswith(PNG) for content in written.values())


def test_a_folder_that_is_no_run_is_told(gedanken: Run, tmp_path: Path) -> None:
    for folder, why in ((tmp_path, "it has none of agent.safetensors"), (tmp_path / "nothing", "no such folder")):
        result = gedanken("report", folder, "--out", tmp_path / "report.html")
        assert result.exit_code == 2
        assert "is not a run" in result.stderr
        assert why in result.stderr
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(("name", "said"), [
    ("agent.safetensors", "the run was cut off before it was saved"),
    ("memory.db", "memory.db is missing"),
    ("journal.jsonl", "journal.jsonl is missing"),
    ("rules.json", ""),
])
def test_a_run_without_a_part_is_reported_as_far_as_it_goes(
    gedanken: Run, run: Path, tmp_path: Path, name: str, said: str
) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    (folder / name).unlink()
    result = gedanken("report", folder, "--out", tmp_path / "report.html")
    assert result.exit_code == 0, result.output
    text = Page((tmp_path / "report.html").read_text()).text
    assert said in text
    assert "What it was told" in text


def test_damaged_parts_are_named_and_left_out(gedanken: Run, run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    for path in (folder / "agent.safetensors", folder / "memory.db", *(folder / "episodes").iterdir()):
        path.write_bytes(b"not what it was")
    with open(folder / "journal.jsonl", "a") as journal:
        journal.write('{"event": "epi')
    result = gedanken("report", folder, "--out", tmp_path / "report.html")
    assert result.exit_code == 0, result.output
    text = Page((tmp_path / "report.html").read_text()).text
    for said in ("agent.safetensors is damaged", "memory.db", "1 damaged line of journal.jsonl", "damaged: not shown"):
        assert said in text
    assert "Picking up a key" in text


def test_looking_changes_nothing(gedanken: Run, run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    before = {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.suffix != ".db"}
    assert gedanken("report", folder, "--out", tmp_path / "report.html").exit_code == 0
    after = {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.suffix != ".db"}
    assert {k: v for k, v in after.items() if not k.startswith("memory.db")} == before
