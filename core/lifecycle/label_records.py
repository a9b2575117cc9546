"""Labels that people give in the dashboard: added, taken back, never changed."""

from __future__ import annotations

import pandas as pd

from core.errors import BadInputError
from core.lifecycle.audit_chain import append_audit, utc_now
from core.lifecycle.tables import LABELS, sa

SHOWN = ("id", "at", "who", "sample_id", "label", "seconds", "note", "batch")


def insert_label(connection: sa.Connection, row: dict[str, object], *, role: str) -> int:
    """A label and its audit row; the label's id.

    Raises:
        BadInputError: who, vertical, domain, sample_id or label is empty.
    """
    empty = [name for name in ("who", "vertical", "domain", "sample_id", "label") if not str(row[name]).strip()]
    if empty:
        raise BadInputError(f"A label needs its {', '.join(empty)}.", repair="Fill it in; undo takes a label back.")
    new_id = connection.execute(sa.insert(LABELS).values(at=utc_now(), **row)).inserted_primary_key[0]
    _audit(connection, "label", row, {"id": new_id, "label": row["label"]}, role=role)
    return new_id


def insert_undo(connection: sa.Connection, label_id: int, *, who: str, note: str, role: str) -> int:
    """A row that takes a label back; its id.

    Raises:
        BadInputError: there is no such label, it is somebody else's, or it is taken back already.
    """
    found = connection.execute(sa.select(LABELS).where(LABELS.c.id == label_id)).mappings().first()
    if found is None or found["undoes"] is not None:
        raise BadInputError(f"There is no label {label_id}.", repair="Take the id from current_labels.")
    if found["who"] != who:
        raise BadInputError(
            f"Label {label_id} is {found['who']}'s, not {who}'s.", repair="Give your own label; both are kept."
        )
    if connection.execute(sa.select(LABELS.c.id).where(LABELS.c.undoes == label_id)).first():
        raise BadInputError(f"Label {label_id} is taken back already.", repair="Label the sample again.")
    row = {name: found[name] for name in ("who", "vertical", "domain", "sample_id", "batch")}
    row |= {"label": "", "note": note, "undoes": label_id}
    new_id = connection.execute(sa.insert(LABELS).values(at=utc_now(), **row)).inserted_primary_key[0]
    _audit(connection, "undo_label", row, {"id": new_id, "undoes": label_id}, role=role)
    return new_id


def select_current(connection: sa.Connection, vertical: str, domain: str, who: str | None) -> pd.DataFrame:
    """The latest label of each labeller and sample that is not taken back, oldest first."""
    undone = sa.select(LABELS.c.undoes).where(LABELS.c.undoes.is_not(None))
    chosen = sa.select(*(LABELS.c[name] for name in SHOWN)).where(
        LABELS.c.vertical == vertical,
        LABELS.c.domain == domain,
        LABELS.c.undoes.is_(None),
        LABELS.c.id.not_in(undone),
    )
    if who is not None:
        chosen = chosen.where(LABELS.c.who == who)
    rows = connection.execute(chosen.order_by(LABELS.c.id)).fetchall()
    return pd.DataFrame(rows, columns=list(SHOWN)).drop_duplicates(["who", "sample_id"], keep="last", ignore_index=True)


def _audit(
    connection: sa.Connection, action: str, row: dict[str, object], details: dict[str, object], *, role: str
) -> None:
    append_audit(
        connection,
        who=row["who"],
        role=role,
        action=action,
        vertical=row["vertical"],
        subject=row["sample_id"],
        details={"domain": row["domain"], **details},
    )
