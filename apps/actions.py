"""What a visitor may set in motion; each asks for the role that it needs before it does anything."""

from __future__ import annotations

from typing import Any

from apps.models import model_digest
from apps.page import Page
from apps.stores import open_page_store
from core.lifecycle.delivery import Delivery
from core.lifecycle.labelling import labels_to_batch


def add_label(page: Page, domain: str, sample_id: str, label: str, *, seconds: float, note: str) -> int:
    """A label in the store; its id."""
    page.require("label")
    return open_page_store(page).add_label(
        who=page.visitor.name,
        role=page.visitor.role,
        vertical=page.vertical_name,
        domain=domain,
        sample_id=sample_id,
        label=label,
        seconds=seconds,
        note=note,
    )


def undo_label(page: Page, label_id: int) -> None:
    """Take one's own label back."""
    page.require("label")
    open_page_store(page).undo_label(label_id, who=page.visitor.name, role=page.visitor.role)


def make_batch(page: Page, domain: str, name: str) -> Delivery:
    """The labels on which labellers agree, as a batch beside the domain's rows."""
    page.require("make_batch")
    store, visitor = open_page_store(page), page.visitor
    return labels_to_batch(store, page.root, page.vertical_name, domain, name, visitor.name, role=visitor.role)


def propose_threshold(page: Page, found: dict[str, Any], costs: tuple[float, float], reason: str) -> int:
    """A threshold with what it does on validation rows; its id. Nothing changes until an owner adopts it."""
    page.require("propose")
    return open_page_store(page).add_proposal(
        who=page.visitor.name,
        role=page.visitor.role,
        vertical=page.vertical_name,
        domain=page.run.read_json("evaluate", "metrics.json")["domain"],
        model_digest=model_digest(page),
        threshold=found["threshold"],
        cost_false_negative=costs[0],
        cost_false_positive=costs[1],
        reason=reason,
        figures={"on": "validation rows", "cost_per_case": found["cost_per_case"], "rates": found["rates"]},
    )
