"""A database that is read: its engine, opened so that it cannot write, and its errors as ours, without passwords.

Every row of a migration is read in one transaction with one view of the data where the database has such a thing
(REPEATABLE READ in PostgreSQL and MySQL, WAL in SQLite), so writers are not stopped and the rows belong together.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import sqlalchemy as sa
from sqlalchemy import exc

from .errors import MigrationFailed, MigrationReason

DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
"""What is meant when a URL names no driver."""

EXAMPLES = "postgresql://user:password@host/database, mysql://user:password@host/database or sqlite:///file.db"
EXTRA = "pip install 'tesseract-grpc[migrate]'"

_ON_CONNECT = {
    "postgresql": ("SET TIME ZONE 'UTC'", "SET application_name = 'tesseract-grpc migrate'"),
    # A slow hub must not let the server give up on a cursor that is not read for a while.
    "mysql": ("SET time_zone = '+00:00'", "SET SESSION TRANSACTION READ ONLY", "SET net_write_timeout = 3600"),
    "sqlite": ("PRAGMA query_only = ON",),
}


class Database:
    """An open database. `dialect` is the family: postgresql, mysql (MariaDB too), sqlite, or another."""

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        self._secrets = _secrets_of(self.url)
        self.engine = self._engine()
        self.dialect = "mysql" if self.engine.dialect.name == "mariadb" else self.engine.dialect.name
        sa.event.listen(self.engine, "connect", self._prepare)
        with self.errors("cannot connect to"), self.engine.connect() as connection:
            self.snapshots = self._has_snapshots(connection)

    @property
    def name(self) -> str:
        """The URL with `***` for its password and without its options, as it is shown and kept."""
        return self.url.set(query={}).render_as_string(hide_password=True)

    def close(self) -> None:
        """Ends all connections."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection in a read-only transaction with one view of the data, where there is such a thing."""
        with self.errors("cannot read"), self.engine.connect() as connection:
            if self.dialect in ("postgresql", "mysql"):
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            if self.dialect == "postgresql":
                connection = connection.execution_options(postgresql_readonly=True)
            if self.dialect == "sqlite" and self.snapshots:  # the driver begins none for reads
                connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        """Makes errors of the driver ours: one line, no password, no values."""
        try:
            yield
        except exc.DBAPIError as error:
            raise self.failure(doing, error.orig or error) from None
        except exc.SQLAlchemyError as error:
            raise self.failure(doing, error) from None
        except UnicodeError as error:
            raise self.failure(doing, error) from None

    def failure(self, doing: str, error: BaseException) -> MigrationFailed:
        """What to say for an error of the driver."""
        text = " ".join(self.hide(str(error)).split())
        login = re.search(r"password|Access denied|authentication|role .* does not exist", text, re.IGNORECASE)
        hint = "check user and password" if login else "check host, port and database" if "connect" in doing else ""
        return MigrationFailed(MigrationReason.DATABASE_FAILED, f"{doing} {self.name}: {text:.400}", hint=hint)

    def hide(self, text: str) -> str:
        """The text without the password."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _engine(self) -> sa.Engine:
        options: dict[str, Any] = {"hide_parameters": True, "pool_reset_on_return": "rollback"}
        try:
            return sa.create_engine(self.url, **options)
        except exc.NoSuchModuleError:
            message = f"no database is known as {self.url.drivername!r}"
            hint = f"for example {EXAMPLES}; others need their SQLAlchemy dialect installed"
            raise MigrationFailed(MigrationReason.BAD_DATABASE_URL, message, hint=hint, field="url") from None
        except ImportError as error:
            message = f"the driver {error.name!r} for {self.url.drivername} is not installed"
            hint = EXTRA if error.name in ("psycopg", "pymysql", "MySQLdb", "psycopg2") else f"pip install {error.name}"
            raise MigrationFailed(MigrationReason.PACKAGE_MISSING, message, hint=hint) from None
        except (exc.ArgumentError, ValueError, TypeError) as error:
            text = self.hide(str(error))
            raise MigrationFailed(MigrationReason.BAD_DATABASE_URL, text, hint=EXAMPLES, field="url") from None

    def _prepare(self, connection: Any, _: object) -> None:
        """Each new connection: times in UTC, and no writing."""
        cursor = connection.cursor()
        try:
            for statement in _ON_CONNECT.get(self.dialect, ()):
                cursor.execute(statement)
        finally:
            cursor.close()
        if self.dialect != "sqlite":
            connection.commit()

    def _has_snapshots(self, connection: sa.Connection) -> bool:
        """Whether a transaction sees one state and stops nobody. Without WAL, a reader of SQLite stops its writers."""
        if self.dialect == "sqlite":
            return str(connection.exec_driver_sql("PRAGMA journal_mode").scalar()) == "wal"
        return self.dialect in ("postgresql", "mysql")


def _parse(url: str) -> sa.URL:
    try:
        made = sa.make_url(url)
    except (exc.ArgumentError, ValueError):  # the text is not repeated: it may hold a password
        raise MigrationFailed(
            MigrationReason.BAD_DATABASE_URL, "this is not the URL of a database", hint=EXAMPLES, field="url"
        ) from None
    made = made.set(drivername=DRIVERS.get(made.drivername, made.drivername))
    if made.get_backend_name() == "sqlite":
        path = made.database
        if not path or path == ":memory:":
            message = "a SQLite database in memory belongs to the process that made it"
            raise MigrationFailed(MigrationReason.BAD_DATABASE_URL, message, hint="name a file", field="url")
        if not path.startswith("file:") and not Path(path).is_file():
            message = f"there is no SQLite file {path!r}"
            hint = "an absolute path has four slashes: sqlite:////data/file.db"
            raise MigrationFailed(MigrationReason.BAD_DATABASE_URL, message, hint=hint, field="url")
    return made


def _secrets_of(url: sa.URL) -> list[str]:
    """The password, in the forms in which it may be repeated; the longest first."""
    password = url.password
    if not password:
        return []
    text = str(password)
    return sorted({text, quote(text), quote_plus(text), repr(text)[1:-1]}, key=len, reverse=True)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of SQLAlchemy about types that it does not know: they are named by us."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", exc.SAWarning)
        yield
