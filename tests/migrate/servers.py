"""Real database servers for a test run: PostgreSQL and MariaDB from the system's packages, in a temporary directory.

A server is started once a run, on a free port below the range that the system hands out by itself, as an unprivileged
user where the run is root (both refuse root), and ended with the run. Durability is off: the data live as long as the
tests. Where a program is missing, `missing` says what to install.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy

PORTS = range(20_000, 32_000)
"""Below what Linux gives to outgoing connections, so that nobody takes the port between finding and using it."""

POSTGRES_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin", "/usr/pgsql-*/bin")
MARIADB_PROGRAMS = ("mariadbd", "mariadb-install-db")
START_SECONDS = 60.0
PASSWORD = "s3cret"  # the tests look for it in every message
DATABASE = "source"


class DatabaseMissing(Exception):
    """The programs of a database are not installed."""


def free_port() -> int:
    """A port that nobody listens on."""
    for port in random.sample(PORTS, 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


def as_nobody(user: str) -> tuple[str, ...]:
    """What goes before a command so that it does not run as root."""
    return ("runuser", "-u", user, "--") if os.geteuid() == 0 else ()


def run(command: tuple[str | Path, ...], cwd: Path, env: Mapping[str, str] | None = None) -> None:
    """Runs a command to its end; its output is the message when it fails."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stdout}\n{done.stderr}"


@contextmanager
def home_of(user: str, name: str) -> Iterator[Path]:
    """A directory that belongs to a user. Not under pytest's, which only its owner may enter."""
    path = Path(tempfile.mkdtemp(prefix=f"tesseract-{name}-", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            shutil.chown(path, user, user)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Waits until the server answers: some listen before they do."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(sqlalchemy.exc.OperationalError):
            execute(url, "SELECT 1")
            return
        time.sleep(0.1)
    raise AssertionError(f"the server did not start:\n{log.read_text(errors='replace')}")


@contextmanager
def running(command: tuple[str | Path, ...], url: str, home: Path) -> Iterator[None]:
    """A server process, ended (and not killed) at the end."""
    log = home / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen([str(part) for part in command], cwd=home, stdout=output, stderr=output)
    try:
        wait_for(url, process, log)
        yield
    finally:
        process.terminate()  # runuser hands it on
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def postgres_bin() -> Path:
    """Where initdb and postgres are."""
    found = [Path(path) for pattern in POSTGRES_PLACES for path in sorted(Path("/").glob(pattern[1:]))]
    on_path = shutil.which("initdb")
    places = found + ([Path(on_path).parent] if on_path else [])
    for place in reversed(places):
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    raise DatabaseMissing("PostgreSQL is not installed: apt-get install postgresql")


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL server; yields the URL of its database."""
    place = postgres_bin()
    with home_of("postgres", "postgres") as home:
        data, port, secret = home / "data", free_port(), home / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        user = as_nobody("postgres")
        how = ("-U", "reader", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C.UTF-8")
        run((*user, place / "initdb", "-D", data, "--no-sync", *how), home)
        settings = {"fsync": "off", "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": home}
        settings |= {"max_connections": 30, "shared_buffers": "64MB"}
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        root = f"postgresql://reader:{PASSWORD}@127.0.0.1:{port}"
        with running((*user, place / "postgres", "-D", data, *flags), f"{root}/postgres", home):
            execute(f"{root}/postgres", f"CREATE DATABASE {DATABASE}")
            yield f"{root}/{DATABASE}"


@contextmanager
def mariadb() -> Iterator[str]:
    """A MariaDB server; yields the URL of its database."""
    for program in MARIADB_PROGRAMS:
        if shutil.which(program) is None and not (Path("/usr/sbin") / program).exists():
            raise DatabaseMissing("MariaDB is not installed: apt-get install mariadb-server")
    server = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
    with home_of("mysql", "mariadb") as home:
        data, port = home / "data", free_port()
        user = as_nobody("mysql")
        install = (*user, "mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db")
        run((*install, "--auth-root-authentication-method=normal", "--skip-name-resolve"), home)
        begin = home / "begin.sql"
        begin.write_text(
            f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4;\n"
            f"CREATE USER 'reader'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n"
            "GRANT ALL ON *.* TO 'reader'@'127.0.0.1';\n"
        )
        begin.chmod(0o644)
        flags = ("--no-defaults", f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1", "--sql-mode=")
        more = (f"--socket={home}/socket", "--skip-name-resolve", f"--init-file={begin}", f"--pid-file={home}/pid")
        quick = ("--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=64M", "--skip-log-bin")
        url = f"mysql://reader:{PASSWORD}@127.0.0.1:{port}/{DATABASE}?charset=utf8mb4"
        with running((*user, server, *flags, *more, *quick), url, home):
            yield url


def execute(url: str, *statements: str) -> None:
    """Runs statements, each committed by itself."""
    drivers = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
    made = sqlalchemy.make_url(url)
    engine = sqlalchemy.create_engine(
        made.set(drivername=drivers.get(made.drivername, made.drivername)), isolation_level="AUTOCOMMIT"
    )
    try:
        with engine.connect() as connection:
            for statement in statements:
                connection.execute(sqlalchemy.text(statement.replace(":", r"\:")))
    finally:
        engine.dispose()
