"""The audit: each row holds the SHA-256 of itself and of the row before, so that a change of any row shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.artifacts import to_plain
from core.lifecycle.tables import AUDIT, sa

FIRST_HASH = "0" * 64
HASHED = ("at", "who", "role", "action", "vertical", "subject", "details")


@dataclass(frozen=True)
class AuditCheck:
    """num_rows: looked at. first_broken: id of the first row that is not what was written, or None. head: last hash.

    Rows cut off at the end leave a whole chain: keep `head` and `num_rows` elsewhere to notice that, too.
    """

    num_rows: int
    first_broken: int | None
    reason: str
    head: str

    @property
    def is_whole(self) -> bool:
        """Whether every row is as it was written."""
        return self.first_broken is None


def utc_now() -> str:
    """The time as the store writes it: ISO, UTC, microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def append_audit(
    connection: sa.Connection,
    *,
    who: str,
    action: str,
    role: str = "",
    vertical: str = "",
    subject: object = "",
    details: Mapping[str, Any] | None = None,
    at: str | None = None,
) -> int:
    """Add a row within a writing transaction; its id. at: ISO, UTC; now where it is left out."""
    last = sa.select(AUDIT.c.hash).order_by(AUDIT.c.id.desc()).limit(1)
    previous = connection.execute(last).scalar() or FIRST_HASH
    row = {"at": at or utc_now(), "who": who, "role": role, "action": action, "vertical": vertical}
    row |= {"subject": str(subject), "details": to_plain(dict(details or {}))}
    values = {**row, "previous_hash": previous, "hash": row_hash(previous, row)}
    return connection.execute(sa.insert(AUDIT).values(values)).inserted_primary_key[0]


def row_hash(previous: str, row: Mapping[str, Any]) -> str:
    """SHA-256 over the hash before and the row's fields as JSON with sorted keys."""
    told = [previous, *(row[name] for name in HASHED)]
    text = json.dumps(told, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def check_chain(connection: sa.Connection) -> AuditCheck:
    """Every row against its own hash and its predecessor's, from the first on."""
    previous, count = FIRST_HASH, 0
    for row in connection.execute(sa.select(AUDIT).order_by(AUDIT.c.id)).mappings():
        count += 1
        if row["previous_hash"] != previous:
            reason = f"row {row['id']} does not follow the row before it: one was taken out, added or changed"
            return AuditCheck(count, row["id"], reason, previous)
        if row["hash"] != row_hash(previous, row):
            return AuditCheck(count, row["id"], f"row {row['id']} is not what was written", previous)
        previous = row["hash"]
    return AuditCheck(count, None, "", previous)
