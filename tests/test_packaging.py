"""The wheel is complete: installed elsewhere, it serves without the source tree."""

import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Runs in the fresh environment, far from the source tree: says where the package came from, and uses a server.
CLIENT = """
import json, sys
import tesseract_grpc
from tesseract_grpc.client import EventHorizon

with EventHorizon.connect(sys.argv[1]) as hub:
    table = hub.create_tesseract("t", columns=[{"name": "id", "type": "int64", "primary_key": True}])
    table.add([{"id": 7}])
    # The grammar of expressions is a file of the package.
    odd = [{"type": "custom", "value": "id % 2 == 1"}]
    rows = hub.create_session(id="odd", table="t", filter=odd).get_data()
print(json.dumps({"package": tesseract_grpc.__file__, "version": tesseract_grpc.__version__, "rows": list(rows)}))
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Runs a command without the source tree on its path, and returns its standard output."""
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=bare(), check=True, stdout=subprocess.PIPE, text=True, timeout=300
    ).stdout


def bare() -> dict[str, str]:
    """The environment without what would lead back to the source tree."""
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.xdist_group("packaging")
class TestProducts:
    def test_wheel_holds_the_package_and_nothing_else(self, products: Path) -> None:
        names = zipfile.ZipFile(next(products.glob("*.whl"))).namelist()
        top = {name.split("/")[0] for name in names}
        assert {name for name in top if not name.endswith(".dist-info")} == {"tesseract_grpc"}
        assert "tesseract_grpc/py.typed" in names
        assert "tesseract_grpc/_proto/tesseract/v1/value_pb2.py" in names
        assert any(name.endswith("licenses/LICENSE") for name in names)
        files = (path for path in (ROOT / "tesseract_grpc").rglob("*.*") if "__pycache__" not in path.parts)
        assert {path.relative_to(ROOT).as_posix() for path in files} <= set(names)

    def test_sdist_holds_the_protos(self, products: Path) -> None:
        with tarfile.open(next(products.glob("*.tar.gz"))) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}
        assert {"protos/buf.yaml", "protos/tesseract/v1/value.proto", "LICENSE", "Makefile"} <= names

    def test_installed_wheel_serves(self, products: Path, tmp_path: Path) -> None:
        bin_folder = tmp_path / "venv" / "bin"
        run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
        wheel = next(products.glob("*.whl"))
        run(sys.executable, "-m", "pip", "--python", bin_folder / "python", "install", "-q", wheel, cwd=tmp_path)
        version = run(bin_folder / "tesseract-grpc", "version", cwd=tmp_path)
        server = subprocess.Popen(
            [bin_folder / "tesseract-grpc", "serve", "--listen", "127.0.0.1:0"],
            cwd=tmp_path,
            env=bare(),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert server.stdout is not None
        try:
            address = re.search(r"\S+:\d+", server.stdout.readline())
            assert address, "serve says where it listens in its first line"
            report = json.loads(run(bin_folder / "python", "-c", CLIENT, address[0], cwd=tmp_path))
        finally:
            server.send_signal(signal.SIGTERM)
            code = server.wait(timeout=30)
            server.stdout.close()
        assert report["rows"] == [{"id": 7}]
        assert report["version"] in version
        assert Path(report["package"]).is_relative_to(tmp_path)
        assert code == 0
