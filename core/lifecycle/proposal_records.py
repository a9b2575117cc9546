"""Proposed thresholds and what was decided on them; neither is ever changed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.artifacts import to_plain
from core.errors import BadInputError
from core.lifecycle.audit_chain import append_audit, utc_now
from core.lifecycle.tables import DECISIONS, PROPOSALS, sa

ADOPTED, DECLINED = "adopted", "declined"


@dataclass(frozen=True)
class Proposal:
    """Somebody's threshold (of the positive class's calibrated probability) for one model, and its decision if any.

    model_digest: of the model that it was found on. figures: what the proposer saw, such as the expected cost.
    """

    id: int
    at: str
    who: str
    vertical: str
    domain: str
    model_digest: str
    threshold: float
    cost_false_negative: float
    cost_false_positive: float
    reason: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    decision: str = ""
    decided_at: str = ""
    decided_by: str = ""
    decision_reason: str = ""


def insert_proposal(connection: sa.Connection, row: dict[str, Any], *, role: str) -> int:
    """A proposal and its audit row; the proposal's id.

    Raises:
        BadInputError: the threshold is no probability, a cost is not above 0, or who or the reason is empty.
    """
    if not 0 <= row["threshold"] <= 1:
        raise BadInputError(f"A threshold of {row['threshold']} is no probability.", repair="Give 0 to 1.")
    costs = [row["cost_false_negative"], row["cost_false_positive"]]
    if not all(math.isfinite(cost) and cost > 0 for cost in costs):
        raise BadInputError(f"Costs of {costs[0]} and {costs[1]} are refused.", repair="Give numbers above 0.")
    _require_words(row, ("who", "reason"))
    values = {**row, "at": utc_now(), "figures": to_plain(dict(row["figures"]))}
    new_id = connection.execute(sa.insert(PROPOSALS).values(values)).inserted_primary_key[0]
    append_audit(
        connection,
        who=row["who"],
        role=role,
        action="propose",
        vertical=row["vertical"],
        subject=new_id,
        details={"domain": row["domain"], "threshold": row["threshold"], "reason": row["reason"]},
    )
    return new_id


def select_proposals(connection: sa.Connection, vertical: str | None, proposal_id: int | None) -> list[Proposal]:
    """Proposals with their decisions, newest first."""
    chosen = (
        sa.select(
            PROPOSALS,
            DECISIONS.c.decision,
            DECISIONS.c.at.label("decided_at"),
            DECISIONS.c.who.label("decided_by"),
            DECISIONS.c.reason.label("decision_reason"),
        )
        .select_from(PROPOSALS.outerjoin(DECISIONS, DECISIONS.c.proposal_id == PROPOSALS.c.id))
        .order_by(PROPOSALS.c.id.desc())
    )
    if vertical is not None:
        chosen = chosen.where(PROPOSALS.c.vertical == vertical)
    if proposal_id is not None:
        chosen = chosen.where(PROPOSALS.c.id == proposal_id)
    rows = connection.execute(chosen).mappings()
    return [Proposal(**{name: "" if value is None else value for name, value in row.items()}) for row in rows]


def insert_decision(
    connection: sa.Connection, proposal_id: int, *, who: str, decision: str, reason: str, role: str
) -> Proposal:
    """The decision on a proposal and its audit row; the proposal as it was before.

    Raises:
        BadInputError: no such proposal or decision, a second decision, or who or the reason is empty.
    """
    if decision not in (ADOPTED, DECLINED):
        raise BadInputError(f"'{decision}' is no decision.", repair=f"Say {ADOPTED} or {DECLINED}.")
    _require_words({"who": who, "reason": reason}, ("who", "reason"))
    found = select_proposals(connection, None, proposal_id)
    if not found:
        raise BadInputError(f"There is no proposal {proposal_id}.", repair="`crossdomain proposals VERTICAL list`.")
    proposal = found[0]
    if proposal.decision:
        raise BadInputError(
            f"Proposal {proposal_id} was {proposal.decision} by {proposal.decided_by} on {proposal.decided_at[:10]}.",
            repair="Make a new proposal.",
        )
    row = {"at": utc_now(), "who": who, "proposal_id": proposal_id, "decision": decision, "reason": reason}
    connection.execute(sa.insert(DECISIONS).values(row))
    append_audit(
        connection,
        who=who,
        role=role,
        action=decision,
        vertical=proposal.vertical,
        subject=proposal_id,
        details={"threshold": proposal.threshold, "reason": reason},
    )
    return proposal


def _require_words(row: Mapping[str, Any], names: tuple[str, ...]) -> None:
    empty = [name for name in names if not str(row[name]).strip()]
    if empty:
        raise BadInputError(f"Without {' and '.join(empty)} nothing is recorded.", repair="Say it in a few words.")
