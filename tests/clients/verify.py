"""`python -m tests.clients [LANGUAGE ..]`: every client built, checked, tested on the stage, and its samples run.

The next language is built while the tests of the one before run. Of the tests nobody is believed without need: the
stage counts which vectors were played to their end, whether each of the wrong ones was tried, and which of its means
the live tests have used.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.clients.control import controlling
from tests.clients.language import CLIENTS, LANGUAGES, Language, StepFailed
from tests.clients.relay import SECONDS, relay
from tests.clients.servers import StagedServer, StageError, Zygote
from tests.clients.stage import Stage
from tests.vectors.vector import DATA, load_all
from tests.vectors.wrong import WRONG

ORDER = sorted(LANGUAGES, key=lambda name: name == "rust")
"""What takes longest to build is last: the others are tested meanwhile."""
SAMPLES = ("basic", "live_view", "resume")
LIVE = (
    "types_round_trip", "read_your_writes", "kill_and_resume", "black_hole", "slow_consumer", "error_reasons",
    "edit_in_place", "reset", "token_and_tls", "retried_write_is_written_once",
)  # fmt: skip
"""The live tests of every client, as each language writes such names."""
USED = {"kill", "start", "blackhole", "heal", "errors", "tls", "token"}
"""What live tests cannot do without."""
HERE = {"PYTHONPATH": str(CLIENTS.parent)}
IGNORED = {"node_modules", "target", "build", "dist", "bin", "gen"}


@dataclass
class Outcome:
    """What became of one language."""

    language: str
    skipped: str = ""
    failed: str = ""
    vectors: str = "-"
    live: str = "-"
    samples: str = "-"
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def word(self) -> str:
        """The result in one word."""
        return "FAILED" if self.failed else "SKIPPED" if self.skipped else "ok"


class Run:
    """All languages."""

    def __init__(self, names: Sequence[str], folder: Path) -> None:
        self.languages = {name: Language(name) for name in names}
        self.outcomes = {name: Outcome(name) for name in names}
        self._built = {name: asyncio.Event() for name in names}
        self._folder = folder
        self._works = {"tests": self._test, "samples": self._samples, "page": self._page, "bench": self._bench}
        self.steps: Sequence[str] = tuple(self._works)
        """What is done after the build."""

    async def all(self) -> None:
        """Builds and tests."""
        building = asyncio.ensure_future(self._build_all())
        for name, language in self.languages.items():
            await self._built[name].wait()
            if not self.outcomes[name].failed and not self.outcomes[name].skipped:
                for step in self.steps:
                    if not self.outcomes[name].failed:
                        await self._step(name, step, self._works[step](language))
            say(f"{name}: {self.outcomes[name].word}")
        await building

    async def _build_all(self) -> None:
        for name, language in self.languages.items():
            if lacks := await language.lacks():
                self.outcomes[name].skipped = lacks
                say(f"{name}: SKIPPED, {lacks}")
            else:
                say(f"{name}: {await language.versions()}")
                await self._step(name, "build", language.run_all("build"))
                if not self.outcomes[name].failed:
                    await self._step(name, "check", language.run_all("check"))
            self._built[name].set()

    async def _step(self, name: str, step: str, work: object) -> None:
        started = time.monotonic()
        try:
            await work  # type: ignore[misc]
        except (StepFailed, StageError, OSError) as error:
            self.outcomes[name].failed = f"{step}: {error}"
            language = self.languages[name]
            say(f"{name}: FAILED, {step}: {error}\n{language.tail()}\n(all of it: {language.log})")
        self.outcomes[name].seconds[step] = time.monotonic() - started

    async def _test(self, language: Language) -> None:
        if not language.commands("test"):  # the tests of the library of the server's own language are those of pytest
            return
        folder = self._folder / f"{language.name}-stage"
        folder.mkdir()
        stage = Stage(folder)
        try:
            async with controlling(stage.handle, 0) as address:
                environment = {"TESSERACT_STAGE": address, "TESSERACT_VECTORS": str(DATA.parent)}
                await language.run_all("test", environment)
        finally:
            await stage.close()
        outcome = self.outcomes[language.name]
        every = {vector.name for vector in load_all()}
        outcome.vectors = f"{len(stage.played & every)} of {len(every)}"
        there = await asyncio.to_thread(live_tests, language.folder)
        outcome.live = f"{len(there)} of {len(LIVE)}"
        for what, missing in (
            ("vectors not played to their end", every - stage.played),
            ("wrong vectors not tried", set(WRONG) - stage.tried),
            ("live tests missing", set(LIVE) - there),
            ("means of the stage not used by live tests", USED - stage.used),
        ):
            if missing:
                raise StepFailed(f"{what}: {', '.join(sorted(missing))}")

    async def _samples(self, language: Language) -> None:
        zygote = Zygote()
        server = StagedServer(zygote, self._folder / f"{language.name}-samples")
        good = 0
        try:
            await server.start()
            for name in SAMPLES * 2:  # again, to see that it does not depend on a first time
                said = await language.run(language.command("sample", name=name, address=server.addresses["address"]))
                wanted = (language.folder.parent / "samples" / f"{name}.txt").read_text()
                if said != wanted:
                    raise StepFailed(f"the sample {name} prints something else than clients/samples/{name}.txt")
                good += 1
        finally:
            await server.close()
            await zygote.close()
            self.outcomes[language.name].samples = f"{good // 2} of {len(SAMPLES)}"

    async def _page(self, language: Language) -> None:
        """The programs of docs/CLIENTS.md."""
        await language.run([sys.executable, "-m", "tests.clients.pages", language.name], HERE)

    async def _bench(self, language: Language) -> None:
        """The benchmark, with little to do."""
        await language.run([sys.executable, "-m", "tests.clients.small_bench", language.name], HERE)


def live_tests(folder: Path) -> set[str]:
    """The live tests that the sources of a client have, however their names are written."""
    text = ""
    for path in folder.rglob("*"):
        if path.is_file() and not IGNORED & set(path.relative_to(folder).parts) and path.stat().st_size < 1 << 20:
            text += path.read_text(errors="replace")
    words = {re.sub(r"[^a-z]", "", word.lower()) for word in re.findall(r"[A-Za-z][A-Za-z_]*", text)}
    return {name for name in LIVE if {name.replace("_", ""), "test" + name.replace("_", "")} & words}


def table(outcomes: Sequence[Outcome]) -> str:
    """What came of it, for people."""
    steps = ("build", "check", "tests", "samples", "page", "bench")
    head = ("language", "result", "vectors", "live tests", "samples", *(f"{step} s" for step in steps))
    rows = [
        (o.language, o.word, o.vectors, o.live, o.samples, *(f"{o.seconds.get(step, 0):.0f}" for step in steps))
        for o in outcomes
    ]
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)
    )


def say(text: str) -> None:
    """Tells how it goes."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def verify(names: Sequence[str]) -> int:
    """Does it all; the exit code."""
    with tempfile.TemporaryDirectory(prefix="clients-") as folder:
        run = Run(names or ORDER, Path(folder))
        await run.all()
        good = [language for name, language in run.languages.items() if run.outcomes[name].word == "ok"]
        relayed, failure = await _relay(Path(folder), good, SECONDS)
    outcomes = list(run.outcomes.values())
    say("\n" + table(outcomes))
    say(relayed)
    skipped = [outcome for outcome in outcomes if outcome.skipped]
    failed = [outcome for outcome in outcomes if outcome.failed]
    for outcome in skipped:
        say(f"SKIPPED: {outcome.language} was not tested at all: {outcome.skipped}")
    for outcome in failed:
        say(f"FAILED: {outcome.language}: {outcome.failed} (log: {run.languages[outcome.language].log})")
    if skipped and os.environ.get("CI"):
        say("nothing may be skipped in CI")
        return 1
    return 1 if failed or failure else 0


async def _relay(folder: Path, languages: Sequence[Language], seconds: float) -> tuple[str, bool]:
    """What came of the relay, and whether it failed."""
    started = time.monotonic()
    try:
        text = await relay(folder, languages, seconds)
    except (StepFailed, StageError, OSError) as error:
        return f"FAILED: relay: {error}", True
    return f"{text}\n  ({time.monotonic() - started:.0f} s)", False


async def toolchains() -> int:
    """What there is to build the clients with; the exit code."""
    lacking = False
    for name in LANGUAGES:
        language = Language(name)
        lacks = await language.lacks()
        lacking |= bool(lacks)
        say(f"{name}: {lacks or await language.versions()}")
    return 1 if lacking and os.environ.get("CI") else 0


async def relay_alone(names: Sequence[str], seconds: float) -> int:
    """The relay with what has been built; the exit code."""
    languages = []
    for name in names or LANGUAGES:
        language = Language(name)
        if lacks := await language.lacks():
            say(f"{name}: SKIPPED, {lacks}")
        else:
            await language.run_all("build")
            languages.append(language)
    with tempfile.TemporaryDirectory(prefix="relay-") as folder:
        text, failed = await _relay(Path(folder), languages, seconds)
    say(text)
    return 1 if failed else 0
