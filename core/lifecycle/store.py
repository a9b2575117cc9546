"""The store: labels, proposals, decisions and the audit, in SQLite or PostgreSQL; rows are only ever added."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pandas as pd

from core.lifecycle.agreement import Agreement, agreement_of
from core.lifecycle.audit_chain import AuditCheck, append_audit, check_chain
from core.lifecycle.database import Database, store_url
from core.lifecycle.label_records import insert_label, insert_undo, select_current
from core.lifecycle.proposal_records import (
    Proposal,
    insert_decision,
    insert_proposal,
    select_proposals,
)
from core.lifecycle.tables import AUDIT, sa


def open_store(root: Path) -> Store:
    """The project's store: CROSSDOMAIN_STORE, else `.crossdomain/store.sqlite` below `root`.

    Raises:
        CrossdomainError: the URL is wrong or the database cannot be reached.
    """
    return Store(store_url(root))


class Store:
    """One database of what people did. Each method is one transaction, with its row in the audit.

    `role`: the role that the person acted in. Several processes may write at once.

    Raises:
        CrossdomainError: the URL is wrong or the database cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url)

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """A connection for selects."""
        return self._database.reading()

    def writing(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that no other writer is in, for several steps that belong together."""
        return self._database.writing()

    def add_label(
        self,
        *,
        who: str,
        vertical: str,
        domain: str,
        sample_id: str,
        label: str,
        seconds: float | None = None,
        note: str = "",
        batch: str = "",
        role: str = "",
    ) -> int:
        """A label in the domain's words; its id. seconds: how long it took. batch: the work list it belongs to.

        Raises:
            BadInputError: a text that must be there is empty.
        """
        row = {"who": who, "vertical": vertical, "domain": domain, "sample_id": sample_id, "label": label}
        row |= {"seconds": seconds, "note": note, "batch": batch}
        with self.writing() as connection:
            return insert_label(connection, row, role=role)

    def undo_label(self, label_id: int, *, who: str, note: str = "", role: str = "") -> int:
        """Take one's own label back, by a further row; its id. The label before it counts again.

        Raises:
            BadInputError: no such label, somebody else's, or taken back already.
        """
        with self.writing() as connection:
            return insert_undo(connection, label_id, who=who, note=note, role=role)

    def current_labels(self, vertical: str, domain: str, who: str | None = None) -> pd.DataFrame:
        """The latest label of each labeller and sample that is not taken back.

        Columns: id, at, who, sample_id, label, seconds, note, batch.
        """
        with self.reading() as connection:
            return select_current(connection, vertical, domain, who)

    def agreement(
        self, vertical: str, domain: str, labellers: tuple[str, str] | None = None, *, num_bootstrap: int = 1000
    ) -> Agreement | None:
        """Cohen's kappa of two labellers (or of the pair with most samples in common) and where they disagree.

        Raises:
            BadInputError: a labeller who has no label was named.
        """
        return agreement_of(self.current_labels(vertical, domain), labellers, num_bootstrap=num_bootstrap)

    def add_proposal(
        self,
        *,
        who: str,
        vertical: str,
        domain: str,
        model_digest: str,
        threshold: float,
        cost_false_negative: float,
        cost_false_positive: float,
        reason: str,
        figures: Mapping[str, Any] | None = None,
        role: str = "",
    ) -> int:
        """A threshold for the model of that digest, with the costs and the reason it was found by; its id.

        Raises:
            BadInputError: the threshold is no probability, a cost is not above 0, or no reason is given.
        """
        row = {"who": who, "vertical": vertical, "domain": domain, "model_digest": model_digest}
        row |= {"threshold": float(threshold), "reason": reason, "figures": figures or {}}
        row |= {"cost_false_negative": float(cost_false_negative), "cost_false_positive": float(cost_false_positive)}
        with self.writing() as connection:
            return insert_proposal(connection, row, role=role)

    def proposals(self, vertical: str | None = None) -> list[Proposal]:
        """Of one vertical or of all, newest first, each with its decision."""
        with self.reading() as connection:
            return select_proposals(connection, vertical, None)

    def decide_proposal(self, proposal_id: int, *, who: str, decision: str, reason: str, role: str = "") -> None:
        """Record `adopted` or `declined`, once; see `proposals.adopt` for what adopting does.

        Raises:
            BadInputError: no such proposal or decision, a second decision, or no reason.
        """
        with self.writing() as connection:
            insert_decision(connection, proposal_id, who=who, decision=decision, reason=reason, role=role)

    def record(
        self,
        *,
        who: str,
        action: str,
        role: str = "",
        vertical: str = "",
        subject: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> int:
        """A row in the audit for what the store does not do itself; its id."""
        with self.writing() as connection:
            return append_audit(
                connection, who=who, action=action, role=role, vertical=vertical, subject=subject, details=details
            )

    def audit_rows(
        self, *, vertical: str | None = None, action: str | None = None, limit: int | None = None
    ) -> pd.DataFrame:
        """The audit, newest first, with every column."""
        chosen = sa.select(AUDIT).order_by(AUDIT.c.id.desc())
        for column, wanted in ((AUDIT.c.vertical, vertical), (AUDIT.c.action, action)):
            if wanted is not None:
                chosen = chosen.where(column == wanted)
        with self.reading() as connection:
            rows = connection.execute(chosen.limit(limit)).fetchall()
        return pd.DataFrame(rows, columns=[column.name for column in AUDIT.columns])

    def verify_audit(self) -> AuditCheck:
        """Whether every audit row is as it was written; if not, the first that is not."""
        with self.reading() as connection:
            return check_chain(connection)
