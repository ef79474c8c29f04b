"""docs/ERRORS.md and docs/CONFIGURATION.md say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.server import options
from tesseract_grpc.server.errors import STATUS_OF, ServerReason

ROW = re.compile(
    r"^\| `(?P<name>\w+)` \| (?P<second>[^|]*?) \| ?(?P<third>[^|]*?) ?\| (?P<fourth>[^|]*?) \|$", re.MULTILINE
)


def table(document: str) -> dict[str, tuple[str, str, str]]:
    rows = ROW.findall(Path("docs", document).read_text())
    assert len({row[0] for row in rows}) == len(rows), "a row twice"
    return {name: (second, third, fourth) for name, second, third, fourth in rows}


def test_every_reason_has_a_status_code() -> None:
    assert set(STATUS_OF) == {*Reason, *ServerReason}
    assert not {str(reason) for reason in Reason} & {str(reason) for reason in ServerReason}


def test_the_list_of_reasons_is_the_table_of_the_code() -> None:
    documented = {name: code for name, (code, _, _) in table("ERRORS.md").items()}
    assert documented == {str(reason): code.name for reason, code in STATUS_OF.items()}


def test_every_reason_says_what_it_means_and_what_to_do() -> None:
    for name, (_, meaning, remedy) in table("ERRORS.md").items():
        assert len(meaning) > 10, name
        assert len(remedy) > 10, name


def test_the_list_of_options_is_that_of_the_code() -> None:
    documented = table("CONFIGURATION.md")
    assert set(documented) == {option.name for option in options()}
    for option in options():
        flag, default, description = documented[option.name]
        assert flag == f"`{option.flag}`"
        assert default.strip("`") == shown(option.default), option.name
        assert description == option.description


def shown(default: object) -> str:
    if default is None:
        return ""
    if isinstance(default, tuple):
        return ",".join(default)
    return str(default).lower() if isinstance(default, bool) else str(default)
