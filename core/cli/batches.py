"""`crossdomain batches`: the deliveries of a domain; set one aside, or take it back after a look."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from core.cli.project import project_root
from core.cli.registry import table_lines
from core.data.domain_folder import read_batches
from core.data.held_batches import has_batch, held_batches, held_path, set_aside, take_back
from core.errors import MissingArtifactError, did_you_mean
from core.lifecycle.registry.records import utc_now
from core.lifecycle.run_lock import exclusive
from core.vertical import load_vertical

HELP = """Show the deliveries of a domain; set one aside so that nothing learns from it, or take it back.

Example: crossdomain batches list credit_risk my_bank

Example: crossdomain batches set-aside credit_risk my_bank 2026-11 --reason "labels of another product"

Example: crossdomain batches take-back credit_risk my_bank 2026-11 --reason "checked with the branch: a new region"

`crossdomain retrain` sets aside what is not to be believed. Rows are moved, never deleted; what was taken back counts
as looked at by a person. Afterwards: `crossdomain retrain VERTICAL`.
"""
app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)

VerticalName = Annotated[str, typer.Argument(help="For example credit_risk.")]
DomainName = Annotated[str, typer.Argument(help="A domain of data/VERTICAL.")]
BatchName = Annotated[str, typer.Argument(help="As `batches list` shows it.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept.")]
Who = Annotated[str | None, typer.Option(help="Who decides; this machine's user when left out.")]


@app.command("list")
def list_all(vertical: VerticalName, domain: DomainName) -> None:
    """All deliveries in the order in which they came, with their rows and whether they are in use.

    Example: crossdomain batches list credit_risk my_bank
    """
    folder = _folder(vertical, domain)
    told = {held.batch: held for held in held_batches(folder)}
    rows = [("batch", "rows", "quarantined", "state", "why")]
    for entry in read_batches(folder):
        name, held = entry["name"], told.get(entry["name"])
        state = "held" if held_path(folder, name).exists() else "in use" if has_batch(folder, name) else "gone"
        why = "" if held is None else held.reason
        if held is not None and held.accepted_by:
            why = f"taken back by {held.accepted_by}: {held.why_accepted} (was held: {held.reason})"
        rows.append((name, f"{entry['rows']:,}", f"{entry.get('quarantined', 0):,}", state, why))
    for line in table_lines(rows):
        typer.echo(line)


@app.command("set-aside")
def aside(vertical: VerticalName, domain: DomainName, batch: BatchName, reason: Reason, who: Who = None) -> None:
    """Take a delivery out of the data in use.

    Example: crossdomain batches set-aside credit_risk my_bank 2026-11 --reason "labels of another product"
    """
    folder = _folder(vertical, domain)
    with exclusive(project_root(), f"retrain-{vertical}"):
        set_aside(folder, batch, reason=f"{who or getpass.getuser()}: {reason}", at=utc_now())
    typer.echo(f"'{batch}' is set aside. Next: crossdomain retrain {vertical}")


@app.command("take-back")
def back(vertical: VerticalName, domain: DomainName, batch: BatchName, reason: Reason, who: Who = None) -> None:
    """Put a held delivery in use again; the monitor believes it from now on.

    Example: crossdomain batches take-back credit_risk my_bank 2026-11 --reason "checked: a new region"
    """
    folder = _folder(vertical, domain)
    with exclusive(project_root(), f"retrain-{vertical}"):
        take_back(folder, batch, who=who or getpass.getuser(), reason=reason, at=utc_now())
    typer.echo(f"'{batch}' is in use again. Next: crossdomain retrain {vertical}")


def _folder(vertical: str, domain: str) -> Path:
    load_vertical(vertical)
    folder = project_root() / "data" / vertical / domain
    if not (folder / "domain.yaml").exists():
        names = [path.parent.name for path in folder.parent.glob("*/domain.yaml")]
        raise MissingArtifactError(f"There is no domain '{domain}' in {vertical}.", repair=did_you_mean(domain, names))
    return folder
