"""The packages of the clients: of one version, with licence and README, pinned, and honest about what they need."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

import tesseract_grpc
from tests.clients.language import CLIENTS, LANGUAGES

ROOT = CLIENTS.parent
COMPILED = tuple(name for name in LANGUAGES if name != "python")
POM = "{http://maven.apache.org/POM/4.0.0}"
NUMBER = re.compile(r"\d+(?:\.\d+)*")
EXACT = re.compile(r"\d+\.\d+(\.\d+)?([.-][A-Za-z0-9.]+)?")


def text(language: str, name: str) -> str:
    """A file of a client."""
    return (CLIENTS / language / name).read_text()


def table_of(document: str, name: str) -> dict[str, str]:
    """One table of a TOML file whose values are texts (the rest is left out)."""
    _, _, rest = document.partition(f"[{name}]\n")
    return dict(re.findall(r'^([\w-]+) = "([^"]*)"$', rest.split("\n[", 1)[0], re.MULTILINE))


def pom() -> ElementTree.Element:
    """The project of Java."""
    return ElementTree.fromstring(text("java", "pom.xml"))


def found(element: ElementTree.Element | None) -> str:
    """What an element of a pom says."""
    assert element is not None
    return element.text or ""


VERSIONS: dict[str, Callable[[], str]] = {
    "go": lambda: re.findall(r'^const Version = "(.*)"$', text("go", "doc.go"), re.MULTILINE)[0],
    "rust": lambda: table_of(text("rust", "Cargo.toml"), "package")["version"],
    "java": lambda: found(pom().find(f"{POM}version")),
    "typescript": lambda: str(json.loads(text("typescript", "package.json"))["version"]),
}
NEEDS: dict[str, Callable[[], str]] = {
    "go": lambda: re.findall(r"^go (\S+)$", text("go", "go.mod"), re.MULTILINE)[0],
    "rust": lambda: table_of(text("rust", "Cargo.toml"), "package")["rust-version"],
    "java": lambda: found(pom().find(f"{POM}properties/{POM}maven.compiler.release")),
    "typescript": lambda: str(json.loads(text("typescript", "package.json"))["engines"]["node"]),
}
MOST = {"go": "1.24", "rust": "1.88", "java": "17", "typescript": "20"}
"""No client needs a newer language than this."""


def commands(language: str) -> dict[str, Any]:
    """What commands.json says."""
    said: dict[str, Any] = json.loads(text(language, "commands.json"))
    return said


def test_every_directory_is_a_language_and_every_language_has_one() -> None:
    folders = {path.name for path in CLIENTS.iterdir() if (path / "commands.json").exists()}
    assert folders == set(LANGUAGES)
    assert set(VERSIONS) == set(NEEDS) == set(COMPILED)


@pytest.mark.parametrize("language", COMPILED)
def test_the_version_is_that_of_the_server(language: str) -> None:
    assert VERSIONS[language]() == tesseract_grpc.__version__


@pytest.mark.parametrize("language", COMPILED)
def test_what_it_needs_is_said_the_same_everywhere(language: str) -> None:
    least = NUMBER.findall(NEEDS[language]())[0]
    most = MOST[language]
    assert _numbers(least)[: len(_numbers(most))] == _numbers(most)
    assert most == commands(language)["toolchain"][0]["minimum"]
    for page in (ROOT / "docs" / "CLIENTS.md", CLIENTS / language / "README.md"):
        assert most in page.read_text(), f"{page} does not say that {most} is needed"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_newcomer_finds_what_belongs_there(language: str) -> None:
    readme = text(language, "README.md")
    assert readme.startswith("# ")
    assert len(readme.splitlines()) >= 20
    if language != "python":  # whose licence is that of the repository
        assert text(language, "LICENSE") == (ROOT / "LICENSE").read_text()
    said = commands(language)
    assert {"toolchain", "build", "check", "test", "sample", "relay_watch", "bench"} <= said.keys()
    assert said["toolchain"]
    assert all(word in " ".join(said["sample"]) for word in ("{name}", "{address}"))
    assert said["check"]
    if language != "python":
        assert said["build"]
        assert said["test"]


def test_the_writer_of_the_relay_is_there() -> None:
    assert commands("go")["relay_write"]


@pytest.mark.parametrize(
    "lock", ["go/go.sum", "rust/Cargo.lock", "typescript/package-lock.json"], ids=lambda lock: lock.split("/")[0]
)
def test_dependencies_are_locked(lock: str) -> None:
    assert (CLIENTS / lock).stat().st_size > 100


def test_dependencies_of_typescript_are_exact() -> None:
    package = json.loads(text("typescript", "package.json"))
    for kind in ("dependencies", "devDependencies", "peerDependencies"):
        for name, version in package.get(kind, {}).items():
            assert EXACT.fullmatch(version), f"{name} {version}"


def test_dependencies_of_java_are_exact() -> None:
    project = pom()
    properties = {f"${{{each.tag.removeprefix(POM)}}}": each.text for each in project.find(f"{POM}properties") or ()}
    coordinates = [*project.iter(f"{POM}dependency"), *project.iter(f"{POM}plugin")]
    assert coordinates
    for each in coordinates:
        version = found(each.find(f"{POM}version"))
        assert EXACT.fullmatch(properties.get(version) or version), ElementTree.tostring(each)


@pytest.mark.parametrize("language", COMPILED)
def test_what_is_built_is_not_kept(language: str) -> None:
    ignored = text(language, ".gitignore")
    for folder in ("bin", "target", "node_modules", "dist", "build"):
        if (CLIENTS / language / folder).exists():
            assert folder in ignored


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, NUMBER.findall(version)[0].split(".")))
