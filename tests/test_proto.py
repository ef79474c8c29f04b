"""The wire contract: the protos are clean, and the generated code is what they generate."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.generate_proto import PROTOS, TARGET, contents, generate, rewrite_imports, stale_files

BUF = Path(sys.executable).parent / "buf"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What protoc generates now."""
    folder = tmp_path_factory.mktemp("proto")
    generate(folder)
    return folder


def test_generated_code_is_fresh(fresh: Path) -> None:
    assert stale_files(fresh) == [], "run `make proto` and commit the result"


@pytest.mark.parametrize("damage", ["changed", "missing", "extra"])
def test_stale_code_is_noticed(fresh: Path, tmp_path: Path, damage: str) -> None:
    committed = tmp_path / "committed"
    shutil.copytree(fresh, committed)
    victim = committed / "tesseract" / "v1" / "value_pb2.pyi"
    if damage == "changed":
        victim.write_text(victim.read_text() + "\n# edited\n")
    elif damage == "missing":
        victim.unlink()
    else:
        victim = victim.with_name("old_pb2.py")
        victim.write_text("")
    assert stale_files(fresh, committed) == [victim.relative_to(committed).as_posix()]


def test_generated_modules_claim_no_top_level_package() -> None:
    for name, text in contents(TARGET).items():
        code = [line.strip() for line in text.splitlines() if line.strip().startswith(("import ", "from "))]
        assert not [line for line in code if line.split()[1].split(".")[0] == "tesseract"], name


def test_rewriting_touches_imports_alone() -> None:
    text = 'from tesseract.v1 import value_pb2 as v\nx = "tesseract.v1.Value"\ny: tesseract.v1.value_pb2.Value\n'
    assert rewrite_imports(text) == (
        "from tesseract_grpc._proto.tesseract.v1 import value_pb2 as v\n"
        'x = "tesseract.v1.Value"\n'
        "y: tesseract_grpc._proto.tesseract.v1.value_pb2.Value\n"
    )


def run_buf(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(BUF), *arguments], capture_output=True, text=True, check=False)


def test_buf_lint_is_clean() -> None:
    result = run_buf("lint", str(PROTOS))
    assert result.returncode == 0, result.stdout + result.stderr


def test_buf_lint_notices_a_missing_comment(tmp_path: Path) -> None:
    shutil.copytree(PROTOS, tmp_path / "protos")
    value = tmp_path / "protos" / "tesseract" / "v1" / "value.proto"
    value.write_text(value.read_text() + "\nmessage Undocumented {\n  string text = 1;\n}\n")
    result = run_buf("lint", str(tmp_path / "protos"))
    assert result.returncode != 0
    assert "Undocumented" in result.stdout


def test_buf_breaking_notices_a_changed_number(tmp_path: Path) -> None:
    shutil.copytree(PROTOS, tmp_path / "protos")
    value = tmp_path / "protos" / "tesseract" / "v1" / "value.proto"
    before = value.read_text()
    after = before.replace("uint32 row_count = 1;", "string row_count = 1;")
    assert after != before
    value.write_text(after)
    result = run_buf("breaking", str(tmp_path / "protos"), "--against", str(PROTOS))
    assert result.returncode != 0
    assert "row_count" in result.stdout
