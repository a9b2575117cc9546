"""`crossdomain fetch` and `crossdomain import`: the ways in for domain data."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.project import project_root
from core.errors import BadParamsError, did_you_mean
from core.vertical import load_vertical, vertical_names

OPTION_NAMES = {"return_column": "return"}  # where the keyword is not the option's own name
FETCH_HELP = """Bring the demo domains of one vertical, or of all, into data/.

Example: crossdomain fetch credit_risk

Air-gapped: set CROSSDOMAIN_MIRROR to a folder or URL that holds the same files.
"""
IMPORT_HELP = """Take your own domain into data/VERTICAL/DOMAIN, with types inferred into domain.yaml for your review.

Example: crossdomain import credit_risk my_bank loans.csv --label defaulted --positive 1 --time issued
--text purpose_note --protected age --after-outcome recoveries --drop internal_id

Pictures: crossdomain import defect_detection my_line pictures/ --label state --negative fine --group part_number
(a folder with labels.csv, class folders, MVTec folders, or a zip of one of them).

Prices: crossdomain import market_risk my_index prices.csv (columns found by well-known names; --date, --close, ... say
others; returns instead: --return r --returns log --unit percent).

A further month: the same command with --batch 2026-11. Rows that cannot be read are set aside in
data/VERTICAL/DOMAIN/quarantine/ with their reason, counted and reported.
"""


def fetch(
    vertical: Annotated[str | None, typer.Argument(help="All verticals when left out.")] = None,
    domain: Annotated[
        list[str] | None, typer.Option("--domain", help="Only this demo domain; may be repeated.")
    ] = None,
) -> None:
    """Materialise demo domains."""
    for name in [vertical] if vertical else vertical_names():
        fetch_domains(name, domain or [], project_root())


def fetch_domains(vertical_name: str, wanted: list[str], root: Path) -> None:
    """Fetch the wanted demo domains of one vertical, all of them when none is named.

    Raises:
        BadParamsError: a wanted domain is no demo domain; the nearest is named.
    """
    vertical = load_vertical(vertical_name)
    for name in wanted:
        if name not in vertical.demo_domains:
            raise BadParamsError(
                f"'{name}' is no demo domain of {vertical_name}.",
                repair=did_you_mean(name, vertical.demo_domains),
            )
    vertical.fetch(list(wanted) or list(vertical.demo_domains), root / "data", report=typer.echo)


def import_domain(
    vertical: Annotated[str, typer.Argument(help="For example credit_risk.")],
    domain: Annotated[str, typer.Argument(help="A name for your domain: letters, digits, underscore.")],
    path: Annotated[Path, typer.Argument(help="CSV, CSV.GZ, Parquet, JSON or JSON lines; for pictures a folder.")],
    label: Annotated[str | None, typer.Option(help="The outcome column.")] = None,
    positive: Annotated[
        list[str] | None, typer.Option(help="Value that means the bad outcome; may be repeated.")
    ] = None,
    time: Annotated[str | None, typer.Option(help="When the case was decided.")] = None,
    group: Annotated[str | None, typer.Option(help="Borrower, patient, part: never in two splits.")] = None,
    key: Annotated[str | None, typer.Option(help="Unique key of a row; becomes the sample id.")] = None,
    text: Annotated[list[str] | None, typer.Option(help="Free-text column; may be repeated.")] = None,
    protected: Annotated[list[str] | None, typer.Option(help="Protected attribute; may be repeated.")] = None,
    after_outcome: Annotated[
        list[str] | None, typer.Option(help="Known only after the outcome; may be repeated.")
    ] = None,
    drop: Annotated[list[str] | None, typer.Option(help="Never a feature; may be repeated.")] = None,
    finding: Annotated[
        list[str] | None, typer.Option(help="Column of one finding (yes, no, unknown); may be repeated.")
    ] = None,
    batch: Annotated[str, typer.Option(help="Name of this delivery.")] = "initial",
    file: Annotated[str | None, typer.Option(help="Pictures: column of paths, relative to the list.")] = None,
    split: Annotated[str | None, typer.Option(help="Column with train, valid, test.")] = None,
    mask: Annotated[str | None, typer.Option(help="Pictures: column of paths to masks of the defects.")] = None,
    negative: Annotated[
        list[str] | None, typer.Option(help="Pictures: value that means good; may be repeated.")
    ] = None,
    layout: Annotated[str | None, typer.Option(help="Pictures: auto, list, classes, mvtec or flat.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="DICOM: table joined by path, SOPInstanceUID or StudyInstanceUID.")
    ] = None,
    date: Annotated[str | None, typer.Option(help="Prices: column of days.")] = None,
    open_column: Annotated[str | None, typer.Option("--open", help="Prices: column of the open.")] = None,
    high: Annotated[str | None, typer.Option(help="Prices: column of the high.")] = None,
    low: Annotated[str | None, typer.Option(help="Prices: column of the low.")] = None,
    close: Annotated[str | None, typer.Option(help="Prices: column of the close.")] = None,
    adj_close: Annotated[str | None, typer.Option(help="Prices: column of the adjusted close.")] = None,
    return_column: Annotated[str | None, typer.Option("--return", help="Prices: column of returns instead.")] = None,
    returns: Annotated[str | None, typer.Option(help="Prices: the returns are simple or log.")] = None,
    unit: Annotated[str | None, typer.Option(help="Prices: the returns are percent or fraction.")] = None,
    zone: Annotated[str | None, typer.Option(help="Prices: time zone whose days count, such as Europe/Paris.")] = None,
    keep_jumps: Annotated[
        bool, typer.Option("--keep-jumps", help="Prices: a jump that looks like a split is real.")
    ] = False,
) -> None:
    """Import a user's own domain."""
    root = project_root()
    take_in = load_vertical(vertical).import_domain
    further = {"file": file, "split": split, "mask": mask, "negative": tuple(negative or ()), "layout": layout}
    further |= {"labels": labels}
    further |= {"date": date, "open": open_column, "high": high, "low": low, "close": close, "adj_close": adj_close}
    further |= {"return_column": return_column, "returns": returns, "unit": unit, "zone": zone}
    further |= {"keep_jumps": keep_jumps}
    further = {name: value for name, value in further.items() if value}
    check_options(vertical, take_in, list(further))
    outcome = take_in(
        path,
        root / "data",
        domain,
        label=label,
        positive=tuple(positive or ()),
        time=time,
        group=group,
        key=key,
        text=tuple(text or ()),
        protected=tuple(protected or ()),
        after_outcome=tuple(after_outcome or ()),
        drop=tuple(drop or ()),
        finding=tuple(finding or ()),
        batch=batch,
        **further,
    )
    typer.echo(f"{outcome.num_rows} rows taken in, {outcome.num_quarantined} quarantined.")
    for note in outcome.notes:
        typer.echo(f"  note: {note}")
    shown = outcome.folder.relative_to(root) if outcome.folder.is_relative_to(root) else outcome.folder
    typer.echo(f"Review {shown}/domain.yaml, then: crossdomain run {vertical} --target {domain}")


def check_options(vertical: str, take_in: Callable[..., Any], options: list[str]) -> None:
    """Raise BadParamsError for an option that the vertical's import does not name among its keywords."""
    known = inspect.signature(take_in).parameters
    unknown = [f"--{OPTION_NAMES.get(name, name.replace('_', '-'))}" for name in options if name not in known]
    if unknown:
        raise BadParamsError(
            f"The import of {vertical} does not know {', '.join(unknown)}.",
            repair="These options are for pictures or prices (`crossdomain import --help`); leave them out.",
        )
