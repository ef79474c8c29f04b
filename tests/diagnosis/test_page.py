"""The page of a diagnosis: whole, quiet and harmless, in a parser and in a browser."""

from __future__ import annotations

import os
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tesseract_grpc.client import CacheStats, HubDiagnosis
from tests.diagnosis.reports import HOSTILE, hostile

VOID = {"meta", "br", "img", "link", "input"}
TAGS = set(
    "html head meta title style body header section nav h1 h2 h3 h4 p ul li a span strong br div dl dt dd svg rect"
    " table tr th td".split()
)
ATTRIBUTES = set(
    "lang charset name content http-equiv class id href viewbox width height preserveaspectratio role aria-label x y"
    " stroke-width".split()
)


class Reader(HTMLParser):
    """What a page is made of; fails where elements are not closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action", "data")]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open[-1] == tag, f"</{tag}> closes {self._open[-1:]}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def hub_report() -> HubDiagnosis:
    stats = CacheStats(3, 1, 0.75, 1, 2_048, 0, 0)
    return HubDiagnosis("default", (hostile(), hostile()), {"queries": stats})


@pytest.mark.parametrize("page", [hostile().to_html(), hub_report().to_html()], ids=["table", "hub"])
def test_a_page_has_only_what_the_template_has(page: str) -> None:
    reader = Reader(page)
    assert set(reader.tags) <= TAGS
    assert reader.attributes <= ATTRIBUTES
    assert all(link.startswith("#table-") for link in reader.links)
    assert page.count("<style>") == 1 and "<script" not in page
    assert "default-src 'none'" in page
    assert "http://" not in page and "https://" not in page and "url(" not in page and "@import" not in page


def test_everything_that_was_told_is_on_the_page() -> None:
    text = "".join(Reader(hostile().to_html()).texts)
    for name in HOSTILE[:6]:
        assert name in text
    for part in ("at version 7", "10 rows", "numbers", "-1", "since 2026-01-01"):
        assert part in text
    assert "49" not in "".join(text.split("{{ 7 * 7 }}")), "a value was taken for a part of the template"


def test_nothing_on_a_page_or_in_lines_is_invisible() -> None:
    for told in (hostile().to_html(), hostile().to_text(), hub_report().to_text()):
        assert not [each for each in told if not (each.isprintable() or each == "\n")]


def test_plots_are_in_the_page() -> None:
    page = hostile().to_html()
    assert page.count('height="56.0"><title>4</title>') == 1
    assert page.count("<svg") >= len(HOSTILE) + 2


def browser() -> str:
    """A browser. In CI there must be one."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("there is no browser: apt-get install chromium")
        pytest.skip("there is no browser: apt-get install chromium")
    return found


@pytest.mark.timeout(180)
def test_a_browser_shows_the_page_and_runs_nothing_of_it(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(hub_report().to_html())
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path}/p",
    ]
    picture = tmp_path / "report.png"
    done = subprocess.run(
        [browser(), *options, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    dom = Reader("<!doctype html>" + done.stdout.partition(">")[2])
    assert "script" not in dom.tags and "img" not in dom.tags
    assert "<title>Hub default</title>" in done.stdout, "a script of a stranger has run"
    assert dom.tags.count("rect") > 2 * len(HOSTILE)
    subprocess.run(
        [browser(), *options, "--window-size=1200,1600", f"--screenshot={picture}", page.as_uri()],
        capture_output=True,
        timeout=120,
        check=True,
    )
    assert picture.stat().st_size > 20_000, "the page is empty"
