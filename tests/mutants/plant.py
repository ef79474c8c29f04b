"""One planted bug, and the copy of the package that has it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = "tesseract_grpc"


@dataclass(frozen=True)
class Plant:
    """`old` stands exactly once in `file` (a path inside the package) and becomes `new`."""

    name: str
    file: str
    old: str
    new: str
    seen: str
    """What a user would see."""
    quick: bool = False
    """Whether it is planted in every test run."""
    tests: tuple[str, ...] = ()
    """The tests that must notice it, where histories cannot: paths from the root of the repository."""

    def source(self) -> str:
        """The file with the bug in it. Raises when the line is not there exactly once: the plant is out of date."""
        text = (ROOT / PACKAGE / self.file).read_text()
        found = text.count(self.old)
        if found != 1:
            raise LookupError(f"plant {self.name!r}: its line is {found} times in {self.file}, and should be once")
        return text.replace(self.old, self.new)

    def into(self, folder: Path) -> None:
        """A copy of the package with the bug, and the tests as they are, in `folder`.

        What the other files were compiled to comes along, but for what is being written just now.
        """
        source = self.source()
        shutil.copytree(ROOT / PACKAGE, folder / PACKAGE, ignore=shutil.ignore_patterns("*.pyc.*"))
        file = folder / PACKAGE / self.file
        file.write_text(source)
        for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
            compiled.unlink()
        (folder / "tests").symlink_to(ROOT / "tests")
        shutil.copy(ROOT / "pyproject.toml", folder)  # how tests are run
