"""The recipes of docs/OTHER-LANGUAGES.md generate what they say, as they stand.

A compiler or plugin that is not installed is a skip with its name, and a failure in CI.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.test_docs import FENCE, ROOT

PAGE = ROOT / "docs" / "OTHER-LANGUAGES.md"
MARK = re.compile(r"### ([^\n]+)\n(?:(?!###).)*?<!-- generates: ([^;\n]+); needs: ([^\n]+) -->\n(?=```sh\n)", re.DOTALL)
LANGUAGES = {"C++", "C#", "Kotlin", "Ruby", "PHP"}


@dataclass(frozen=True)
class Recipe:
    """One block of commands."""

    language: str
    generates: tuple[str, ...]
    needs: tuple[str, ...]
    commands: str

    def __str__(self) -> str:
        return self.language


def recipes() -> list[Recipe]:
    text = PAGE.read_text()
    found = []
    for mark in MARK.finditer(text):
        block = FENCE.search(text, mark.end())
        assert block is not None
        found.append(Recipe(mark[1], tuple(mark[2].split()), tuple(mark[3].split()), block[2]))
    return found


def test_every_language_has_a_recipe() -> None:
    assert {recipe.language for recipe in recipes()} == LANGUAGES
    assert PAGE.read_text().count("<!-- generates:") == len(recipes())


@pytest.mark.slow
@pytest.mark.parametrize("recipe", recipes(), ids=str)
def test_recipe_generates_what_it_says(recipe: Recipe, tmp_path: Path) -> None:
    missing = [tool for tool in recipe.needs if shutil.which(tool) is None]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"NOT INSTALLED: {', '.join(missing)}")
    assert missing == []
    (tmp_path / "protos").symlink_to(ROOT / "protos")
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", recipe.commands],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "warning" not in ended.stderr.lower()
    assert [path for path in recipe.generates if not (tmp_path / path).stat().st_size] == []
    assert "WatchSession" in "".join((tmp_path / path).read_text() for path in recipe.generates)


def test_every_proto_is_generated() -> None:
    """The wildcard of the recipes covers all protos: there are none elsewhere."""
    everywhere = sorted((ROOT / "protos").rglob("*.proto"))
    assert everywhere == sorted((ROOT / "protos" / "tesseract" / "v1").glob("*.proto"))
