"""`crossdomain proposals`: thresholds that analysts propose, and an owner's decision on them."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.project import project_root
from core.errors import CrossdomainError, did_you_mean
from core.vertical import load_case_vertical

if TYPE_CHECKING:
    from core.lifecycle.proposal_records import Proposal

HELP = """Show the thresholds that were proposed for a vertical, adopt one, or decline it.

Example: crossdomain proposals credit_risk list

Example: crossdomain proposals credit_risk adopt 3 --reason "losses of the last quarter"

Adopting writes train.threshold_rule and train.fixed_threshold into params.yaml, shows the difference, and records who
and why. Nothing is trained before `dvc repro`.
"""
ACTIONS = ("list", "adopt", "decline")


def proposals(
    vertical: Annotated[str, typer.Argument(help="For example credit_risk.")],
    action: Annotated[str, typer.Argument(help="list, adopt or decline.")] = "list",
    proposal_id: Annotated[int | None, typer.Argument(metavar="ID", help="Number in the list.")] = None,
    reason: Annotated[str, typer.Option(help="Why; it is kept.")] = "",
    who: Annotated[str | None, typer.Option(help="Who decides; this machine's user when left out.")] = None,
) -> None:
    """List, adopt or decline."""
    load_case_vertical(vertical)
    if action not in ACTIONS:
        raise CrossdomainError(f"There is no action '{action}'.", repair=did_you_mean(action, ACTIONS))
    from core.lifecycle.proposals import adopt, decline
    from core.lifecycle.store import open_store

    root = project_root()
    store = open_store(root)
    if action == "list":
        found = store.proposals(vertical)
        for line in [line for proposal in found for line in proposal_lines(proposal)] or ["No proposal yet."]:
            typer.echo(line)
        return
    if proposal_id is None or not reason.strip():
        raise CrossdomainError(
            f"{action} needs a proposal's number and a reason.",
            repair=f'Example: crossdomain proposals {vertical} {action} 3 --reason "why"',
        )
    by = who or getpass.getuser()
    if action == "decline":
        decline(vertical, proposal_id, store=store, who=by, reason=reason)
        typer.echo(f"Proposal {proposal_id} is declined; params.yaml is as it was.")
        return
    done = adopt(root, vertical, proposal_id, store=store, who=by, reason=reason)
    for change in done.changes:
        typer.echo(f"params.yaml  {change}")
    if not done.changes:
        typer.echo("params.yaml said so already.")
    for note in done.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"Proposal {proposal_id} is adopted. To apply it: dvc repro report@{vertical}")


def proposal_lines(proposal: Proposal) -> list[str]:
    """A proposal as text, with what was decided."""
    lines = [
        f"{proposal.id:>4}  {proposal.at[:16]}  {proposal.domain}: threshold {proposal.threshold:.4f} by {proposal.who}"
        f" (costs {proposal.cost_false_negative:g} to {proposal.cost_false_positive:g}): {proposal.reason}"
    ]
    if proposal.decision:
        when = proposal.decided_at[:16]
        lines.append(f"      {proposal.decision} {when} by {proposal.decided_by}: {proposal.decision_reason}")
    return lines
