"""Signing in, slower after each wrong try; the store remembers, so that a new browser session changes nothing."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.errors import CrossdomainError
from core.lifecycle.audit_chain import append_audit
from core.lifecycle.store import Store
from core.lifecycle.tables import AUDIT, sa
from core.lifecycle.users import User, check_password, read_users

FREE_TRIES = 5
MAX_WAIT_SECONDS = 15 * 60
MAX_COUNTED = 20  # tries; the wait is at its longest from the fifteenth on
REMEMBERED = timedelta(hours=24)
TRIED, SIGNED_IN = "sign_in_tried", "signed_in"


class SignInRefusedError(CrossdomainError):
    """A wrong name or password, or a try before the wait is over. wait_seconds: until the next try is looked at."""

    def __init__(self, message: str, *, wait_seconds: float = 0.0, repair: str = "") -> None:
        super().__init__(message, repair=repair)
        self.wait_seconds = wait_seconds


class SignInGuard:
    """Checks passwords against the file at `path`; after five wrong tries a name or an address has to wait.

    The wait is 1 s after the fifth wrong try in a row and doubles up to 15 minutes. A try is written down before the
    password is looked at, so that many at once count as many. Tries older than a day are forgotten.
    """

    def __init__(self, store: Store, path: Path, *, now: Callable[[], datetime] | None = None) -> None:
        self._store, self._path = store, Path(path)
        self._now = now or (lambda: datetime.now(UTC))

    def sign_in(self, name: str, password: str, *, address: str = "") -> User:
        """The user of that name and password.

        Raises:
            SignInRefusedError: wrong name or password, or too early; unknown names are treated as known ones.
        """
        subject = self._subject(name)
        with self._store.writing() as connection:
            wait = self._wait_seconds(connection, subject, address)
            if wait == 0:
                self._write_down(connection, TRIED, subject, address)
        if wait > 0:
            raise SignInRefusedError(
                "Too many wrong tries.", wait_seconds=wait, repair=f"Try again in {math.ceil(wait)} seconds."
            )
        user = check_password(self._path, name, password)
        if user is None:
            raise SignInRefusedError("Name or password is wrong.", repair="Check both and try again.")
        with self._store.writing() as connection:
            self._write_down(connection, SIGNED_IN, subject, address, role=user.role)
        return user

    def wait_seconds(self, name: str, *, address: str = "") -> float:
        """How long until a try is looked at; 0 if at once."""
        with self._store.reading() as connection:
            return self._wait_seconds(connection, self._subject(name), address)

    def _subject(self, name: str) -> str:
        """The name in the audit; of an unknown one a short digest, for it may be a password in the wrong field."""
        if name in read_users(self._path):
            return name
        return "unknown-" + hashlib.sha256(name.encode()).hexdigest()[:8]

    def _write_down(
        self, connection: sa.Connection, action: str, subject: str, address: str, *, role: str = ""
    ) -> None:
        at = self._now().isoformat(timespec="microseconds")
        details = {"address": address}
        append_audit(connection, who=subject, role=role, action=action, subject=subject, details=details, at=at)

    def _wait_seconds(self, connection: sa.Connection, subject: str, address: str) -> float:
        waits = [self._wait_after(connection, AUDIT.c.subject == subject)]
        if address:
            waits.append(self._wait_after(connection, AUDIT.c.details["address"].as_string() == address))
        return max(waits)

    def _wait_after(self, connection: sa.Connection, is_meant: sa.ColumnElement[bool]) -> float:
        """Seconds left after the tries since the last success."""
        chosen = sa.select(AUDIT.c.at, AUDIT.c.action).where(AUDIT.c.action.in_((TRIED, SIGNED_IN)), is_meant)
        now, times = self._now(), []
        for at, action in connection.execute(chosen.order_by(AUDIT.c.id.desc()).limit(MAX_COUNTED)):
            time = datetime.fromisoformat(at)
            if action == SIGNED_IN or now - time > REMEMBERED:
                break
            times.append(time)
        if len(times) < FREE_TRIES:
            return 0.0
        wait = min(2.0 ** (len(times) - FREE_TRIES), MAX_WAIT_SECONDS)
        return max(0.0, wait - (now - times[0]).total_seconds())
