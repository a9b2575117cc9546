"""The database behind the store: one writer at a time, however many processes and sessions there are."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import BadInputError, CrossdomainError
from core.lifecycle.tables import create_statements, sa

URL_VARIABLE = "CROSSDOMAIN_STORE"
FOLDER = ".crossdomain"
BUSY_TIMEOUT_SECONDS = 30.0
POSTGRES_LOCK = 7_230_491_105  # any number that nobody else locks in this database
NUM_WAL_TRIES = 50


def store_url(root: Path) -> str:
    """CROSSDOMAIN_STORE, else a SQLite file below the project's `.crossdomain/`."""
    asked = os.environ.get(URL_VARIABLE, "").strip()
    return asked or f"sqlite:///{(Path(root) / FOLDER / 'store.sqlite').resolve()}"


class Database:
    """Connections to one database; its tables are made when it is first opened.

    SQLite is kept in WAL mode (readers never wait; the file must lie on a local disk) and a writer waits up to 30 s
    for the others.

    Raises:
        CrossdomainError: the URL is wrong, its driver is not installed, or the database cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self._engine = _create_engine(url)
        self.name = self._engine.url.render_as_string(hide_password=True)
        self.dialect = self._engine.dialect.name
        statements = create_statements(self.dialect)
        if self.dialect == "sqlite":
            _prepare_sqlite(self._engine)
        with self.writing() as connection:
            for statement in statements:
                connection.execute(statement)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection that sees one state of the database."""
        with self._explaining(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that no other writer is in; committed at the end, undone if anything is raised."""
        engine = self._engine.execution_options(is_writing=True)
        with self._explaining(), engine.begin() as connection:
            if self.dialect == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(POSTGRES_LOCK)))
            yield connection

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.DataError as error:
            raise BadInputError(f"A value does not fit into the store ({error.orig}).", repair="Shorten it.") from error
        except (sa.exc.IntegrityError, sa.exc.InternalError, sa.exc.ProgrammingError):
            raise  # what the store itself must not do
        except sa.exc.DatabaseError as error:
            raise CrossdomainError(
                f"The store {self.name} cannot be used ({error.orig}).",
                repair=f"Check {URL_VARIABLE}, the server, or the disk and its rights.",
            ) from error


def _create_engine(url: str) -> sa.Engine:
    shape = "Example: postgresql+psycopg://user:password@host/name, or sqlite:////path/store.sqlite"
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise CrossdomainError(f"{URL_VARIABLE} is no database URL.", repair=shape) from None
    is_sqlite = parsed.get_backend_name() == "sqlite"
    if is_sqlite and not parsed.database:
        raise CrossdomainError(f"{URL_VARIABLE} names no file: a store in memory is lost.", repair=shape)
    try:
        if not is_sqlite:
            return sa.create_engine(parsed, pool_pre_ping=True)
        Path(parsed.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A connection of its own for each use: nothing is shared between threads or after a fork.
        return sa.create_engine(parsed, poolclass=sa.NullPool, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
    except (ModuleNotFoundError, sa.exc.NoSuchModuleError) as error:
        raise CrossdomainError(
            f"There is no driver for {parsed.drivername} ({error}).", repair="Install it. " + shape
        ) from None
    except OSError as error:
        raise CrossdomainError(f"{parsed.database} cannot be made ({error}).", repair=shape) from None


def _prepare_sqlite(engine: sa.Engine) -> None:
    """Own transactions instead of the driver's: a writer takes its lock at once, so it never works on old rows."""

    @sa.event.listens_for(engine, "connect")
    def _set_up(connection: object, _record: object) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT_SECONDS * 1000)}")
        connection.execute("PRAGMA foreign_keys=ON")
        _switch_to_wal(connection)

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        is_writing = connection.get_execution_options().get("is_writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")


def _switch_to_wal(connection: object) -> None:
    """WAL mode stays with the file; while others open it for the first time, SQLite refuses instead of waiting."""
    import sqlite3

    for attempt in range(NUM_WAL_TRIES):
        try:
            if connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] == "wal":
                return
        except sqlite3.OperationalError:
            if attempt == NUM_WAL_TRIES - 1:
                raise
        time.sleep(0.02)
