"""`crossdomain retrain`: from a delivery to a promoted model or a reasoned refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.cli.project import project_root
from core.errors import BadInputError
from core.params import load_params
from core.vertical import load_vertical

HELP = """Take a delivery in, watch for drift, train a challenger where that is needed, judge it, decide, and tell.

Example: crossdomain retrain credit_risk --batch loans_2026-11.csv

Example: crossdomain retrain credit_risk            (labels came, or the data was imported by hand)

Example: crossdomain retrain market_risk --batch prices_2026-11.csv   (new days of a market)

Example, on the second of every month by cron:
0 3 2 * *  cd /srv/crossdomain && .venv/bin/crossdomain retrain credit_risk --batch "/srv/inbox/$(date +\\%Y-\\%m).csv"

Stopped or killed, the same command goes on where it was. Another run of the same vertical is refused meanwhile.
Settings: the section `retrain` of the vertical in params.yaml. Every run is kept in registry/VERTICAL/retrains, its
report in artifacts/VERTICAL/retrain/RUN/report.html. Exit codes: 0 promoted or kept, 20 refused, 21 held for a person,
others as everywhere. A delivery that is not to be believed is set aside: `crossdomain batches VERTICAL --help`.
"""


def retrain(
    vertical: Annotated[str, typer.Argument(help="For example credit_risk.")],
    batch: Annotated[Path | None, typer.Option(help="The delivery: what `crossdomain import` reads.")] = None,
    name: Annotated[str | None, typer.Option(help="Its name; the file's when left out.")] = None,
    domain: Annotated[str | None, typer.Option(help="Its domain; the target when left out.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")] = False,
    abandon: Annotated[bool, typer.Option("--abandon", help="Give up a run that was stopped.")] = False,
) -> None:
    """Retrain one vertical."""
    root = project_root()
    chosen = load_vertical(vertical)
    if (name or domain) and batch is None:
        raise BadInputError("--name and --domain are about a delivery.", repair="Give it with --batch PATH.")
    from core.lifecycle.retrain.batch_source import BatchSource

    source = None
    if batch is not None:
        target = load_params(root / "params.yaml", vertical, chosen.params_type).prepare.target_domain
        source = BatchSource(batch, name or batch.name.split(".")[0], domain or target)
    if abandon:
        from core.lifecycle.retrain.loop import abandon as give_up

        ended = give_up(root, vertical)
        typer.echo(f"{ended.run} is given up." if ended else "No run was stopped.")
        return
    if dry_run:
        from core.lifecycle.retrain.rehearsal import rehearse

        for line in rehearse(root, vertical, source):
            typer.echo(line)
        return
    from core.lifecycle.retrain.loop import EXIT_CODES
    from core.lifecycle.retrain.loop import retrain as run

    journal = run(root, vertical, source=source, report=typer.echo)
    told = journal.result("tell") or {}
    typer.echo(f"Report: {told.get('report', '')}")
    code = EXIT_CODES[journal.outcome]
    if code:
        raise typer.Exit(code)
