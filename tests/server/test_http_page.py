"""docs/BROWSER.md is run: its commands by bash, word for word but for the address, and its function by Node; what they
print is what the page says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tesseract_grpc.server.web.codes import HTTP_STATUS, connect_name
from tesseract_grpc.server.web.formats import FORMATS
from tesseract_grpc.testing import running_server
from tests.server.web_world import METHODS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "BROWSER.md"
HERE = "http://127.0.0.1:8080"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ORIGINS = ("https://board.example", "http://localhost:5173")


def blocks() -> list[tuple[str, str]]:
    return BLOCK.findall(PAGE.read_text())


def recipes() -> Iterator[tuple[str, str]]:
    """Each command of the page, and what it prints."""
    found = blocks()
    for (language, code), following in zip(found, [*found[1:], ("", "")], strict=True):
        if language == "sh" and not code.startswith("tesseract-grpc serve"):
            assert following[0] in ("text", "json"), f"the page does not say what this prints: {code}"
            yield code, following[1]


def need(tool: str) -> str:
    path = shutil.which(tool)
    if path is None:
        assert not os.environ.get("CI"), f"{tool} is needed here"
        pytest.skip(f"there is no {tool} here")
    return path


def test_the_commands_print_what_the_page_says() -> None:
    for tool in ("bash", "curl", "jq"):
        need(tool)
    count = 0
    with running_server(http_port=0, http_cors_origins=ORIGINS) as server:
        for code, expected in recipes():
            run = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", code.replace(HERE, server.server.http_address or "")],
                capture_output=True,
                text=True,
                timeout=30,
            )
            assert run.returncode == 0, (code, run.stderr)
            assert run.stdout.strip() == expected.strip(), code
            count += 1
    assert count >= 9


def test_the_function_of_the_page_watches() -> None:
    node = need("node")
    (function,) = [code for language, code in blocks() if language == "js"]
    with running_server(http_port=0, drain_timeout=0.5) as server:
        api = f"{server.server.http_address}/tesseract.v1"
        program = f"""
        {function}
        const call = (method, body) => fetch("{api}." + method, {{method: "POST", body: JSON.stringify(body),
            headers: {{"content-type": "application/json"}}}}).then((answer) => answer.json());
        const columns = [{{name: "id", type: "DATA_TYPE_INT64", primaryKey: true}}];
        await call("TableService/CreateTable", {{tableId: "t", table: {{columns}}}});
        await call("SessionService/CreateSession", {{sessionId: "s", session: {{query: {{table: "t"}}}}}});
        const insert = {{rows: {{rowCount: 1, columns: [{{name: "id", int64s: {{values: ["9007199254740993"]}}}}]}}}};
        const seen = [];
        try {{
          await watch("{server.server.http_address}", "s", async (message) => {{
            seen.push(message);
            if (message.snapshotEnd) await call("TableService/Write", {{operations: [{{table: "t", insert}}]}});
            if (message.changes) await call("SessionService/DeleteSession", {{name: "s"}});
          }});
        }} catch (error) {{ seen.push(String(error)); }}
        await watch("{server.server.http_address}", "s", () => 0).catch((error) => seen.push(String(error)));
        console.log(JSON.stringify(seen));
        """
        run = subprocess.run(
            [node, "--input-type=module", "-e", program], capture_output=True, text=True, timeout=30, check=False
        )
        assert run.returncode == 0, run.stderr
        *seen, ended, refused = json.loads(run.stdout)
        changes = next(message["changes"] for message in seen if "changes" in message)
        assert changes["inserts"]["rows"]["columns"][0]["int64s"]["values"] == ["9007199254740993"]
        assert "begin" in seen[0]
        assert "session" in ended.lower()
        assert "there is no session 's'" in refused


def test_the_page_names_what_there_is() -> None:
    text = PAGE.read_text()
    for name in FORMATS:
        kind, _, codec = name.partition("+")
        assert f"`{kind}" in text, name
        assert not codec or f"+{codec}`" in text, name
    rows = dict(re.findall(r"^\| ([\d, ]+) \| (`.*) \|$", text, re.MULTILINE))
    told = {
        (code, int(status))
        for statuses, codes in rows.items()
        for status in statuses.split(", ")
        for code in re.findall(r"`(\w+)`", codes)
    }
    for code, status in HTTP_STATUS.items():
        if code.name not in ("UNKNOWN", "DATA_LOSS"):  # which the server never says
            assert (connect_name(code), status) in told
    for path in re.findall(re.escape(HERE) + r"(/tesseract[\w./]+)", text):
        assert path in METHODS
