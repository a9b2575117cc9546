"""`crossdomain compare`: the transfer ledger, or a published protocol."""

from __future__ import annotations

from typing import Annotated

import typer

from core.artifacts import read_json
from core.cli.project import project_root
from core.cli.run import fetch_missing
from core.errors import BadParamsError, did_you_mean
from core.lifecycle.pipeline import reproduce
from core.vertical import load_vertical

HELP = """Show the transfer ledger of the current parameters, or run a benchmark protocol.

Example: crossdomain compare credit_risk

Example: crossdomain compare credit_risk --protocol c1

A protocol writes verticals/VERTICAL/results/PROTOCOL.json with intervals.
"""


def compare(
    vertical: Annotated[str, typer.Argument(help="For example credit_risk.")],
    protocol: Annotated[str | None, typer.Option(help="A benchmark's id, such as c1.")] = None,
) -> None:
    """Print the ledger or run a protocol."""
    root = project_root()
    chosen = load_vertical(vertical)
    if protocol is None:
        fetch_missing(vertical, root)
        reproduce(vertical, root, to="compare", report=typer.echo)
        ledger = read_json(root / "artifacts" / vertical / "compare" / "ledger_metrics.json")
        for line in forecast_lines(ledger) if chosen.forecasts else ledger_lines(ledger):
            typer.echo(line)
        return
    if protocol not in chosen.protocols:
        raise BadParamsError(
            f"{vertical} has no protocol '{protocol}'.", repair=did_you_mean(protocol, chosen.protocols)
        )
    chosen.protocols[protocol](root, report=typer.echo)


def forecast_lines(ledger: dict) -> list[str]:
    """A ledger of forecasts as fixed-width text, one line a history and method: the mean of all horizons."""
    head = f"{'days':>7} {'method':22} {'QLIKE':>7}  {'95 % interval':17} {'gain':>8}  standing       transfer"
    lines = [
        f"target {ledger['target_domain']}, rival {ledger['baseline']}, mean of {ledger['horizons']} days ahead",
        head,
    ]
    for entry in ledger["entries"]:
        if entry["horizon"] == "mean":
            interval = f"[{entry['low']:.3f}, {entry['high']:.3f}]"
            gain = "" if entry["difference"] is None else f"{entry['difference']:+.4f}"
            moved = "" if entry.get("transfer_difference") is None else f"{entry['transfer_difference']:+.4f} "
            lines.append(
                f"{entry['budget']!s:>7} {entry['method']:22} {entry['mean']:7.4f}  {interval:17} {gain:>8}  "
                f"{entry['standing']:13}  {moved}{entry['verdict']}"
            )
    return lines


def ledger_lines(ledger: dict) -> list[str]:
    """The ledger as fixed-width text, one line a budget and method."""
    head = f"{'labels':>7} {'method':34} {ledger['metric']:>6}  {'95 % interval':17} {'gain':>7}  verdict"
    lines = [f"target {ledger.get('target_domain', '')}, baseline {ledger['baseline']}", head]
    for entry in ledger["entries"]:
        interval = f"[{entry['low']:.3f}, {entry['high']:.3f}]"
        gain = "" if entry["difference"] is None else f"{entry['difference']:+.3f}"
        lines.append(
            f"{entry['budget']!s:>7} {entry['method']:34} {entry['mean']:6.3f}  {interval:17} {gain:>7}  "
            f"{entry['verdict']}"
        )
    return lines
