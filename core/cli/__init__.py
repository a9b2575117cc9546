"""The `crossdomain` command. It adds nothing to the pipeline that plain `dvc repro` would not see."""

from __future__ import annotations

import sys

import typer

from core import __version__
from core.cli import (
    batches,
    cache,
    compare,
    dashboard,
    doctor,
    domains,
    label,
    new_vertical,
    predict,
    proposals,
    registry,
    retrain,
    run,
    users,
)
from core.errors import CrossdomainError

EPILOG = (
    "Exit codes: 0 done; 1 a stage failed; 2 wrong use; 3 bad input; 4 bad params.yaml; 5 a file is missing; "
    "6 a checksum or model does not verify; 7 offline; retrain: 20 refused, 21 held for a person."
)
app = typer.Typer(
    name="crossdomain",
    help="Knowledge moved from one domain to another, with proof that the move helped.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("fetch", help=domains.FETCH_HELP)(domains.fetch)
app.command("import", help=domains.IMPORT_HELP)(domains.import_domain)
app.command("label", help=label.HELP)(label.label)
app.command("run", help=run.HELP)(run.run)
app.command("predict", help=predict.HELP)(predict.predict)
app.command("compare", help=compare.HELP)(compare.compare)
app.command("proposals", help=proposals.HELP)(proposals.proposals)
app.command("retrain", help=retrain.HELP)(retrain.retrain)
app.add_typer(batches.app, name="batches")
app.add_typer(users.app, name="users")
app.add_typer(registry.app, name="registry")
app.command("dashboard", help=dashboard.HELP)(dashboard.dashboard)
app.command("cache", help=cache.HELP)(cache.cache)
app.command("new-vertical", help=new_vertical.HELP)(new_vertical.new_vertical)
app.command("doctor", help=doctor.HELP)(doctor.doctor)


def _show_version(value: bool) -> None:
    """Print the version and stop."""
    if value:
        typer.echo(f"crossdomain {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Print the version."),
) -> None:
    """Knowledge moved from one domain to another, with proof that the move helped."""


def main() -> None:
    """Run the command; a user's mistake is one clear sentence and an exit code, never a traceback."""
    try:
        app()
    except CrossdomainError as error:
        typer.echo(f"crossdomain: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("crossdomain: stopped; what was finished is kept.", err=True)
        sys.exit(130)
