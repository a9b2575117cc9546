"""`crossdomain run`: choice to params.yaml, missing domains fetched, then `dvc repro` to the report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.domains import fetch_domains
from core.cli.project import parse_assignment, project_root
from core.errors import CrossdomainError, MissingArtifactError, did_you_mean
from core.lifecycle.pipeline import reproduce
from core.params import load_params, set_params
from core.stages import STAGES
from core.vertical import Vertical, load_vertical

HELP = """Fetch what is missing and run the pipeline to its report.

Example: crossdomain run credit_risk

Example: crossdomain run credit_risk --source lending_club --target my_bank --set prepare.label_budget=200

The choice is written to params.yaml; afterwards `dvc repro report@VERTICAL` does the same
(`series_report@VERTICAL` where it forecasts, `value_report@VERTICAL` where it predicts a number).
"""


def run(
    vertical: Annotated[str, typer.Argument(help="For example credit_risk.")],
    source: Annotated[list[str] | None, typer.Option(help="Source domain; may be repeated.")] = None,
    target: Annotated[str | None, typer.Option(help="Target domain.")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", help="path=value below the vertical's section.")
    ] = None,
    to: Annotated[str, typer.Option(help="Stop after this stage.")] = "report",
    force: Annotated[bool, typer.Option("--force", help="Run stages even if nothing changed.")] = False,
) -> None:
    """Run one vertical's pipeline."""
    root = project_root()
    chosen = load_vertical(vertical)
    if to not in STAGES:
        raise CrossdomainError(f"There is no stage '{to}'.", repair=did_you_mean(to, STAGES))
    changes = {f"{vertical}.{path}": value for path, value in map(parse_assignment, assignments or [])}
    if source:
        changes[f"{vertical}.prepare.source_domains"] = list(source)
    if target:
        changes[f"{vertical}.prepare.target_domain"] = target
    if changes:
        set_params(root / "params.yaml", changes, chosen.params_type)
    check(chosen, load_params(root / "params.yaml", vertical, chosen.params_type))
    fetch_missing(vertical, root)
    reproduce(vertical, root, to=to, force=force, report=typer.echo)
    report = root / "artifacts" / vertical / "report" / "report.html"
    if to == "report" and report.exists():
        typer.echo(f"Report: {report.relative_to(root)}")


def check(vertical: Vertical, params: Any) -> None:
    """Refuse names and options that are unknown or do not fit; what is imported here `--help` need not wait for."""
    if vertical.forecasts:
        from core.forecasting.choices import check_series_choices

        check_series_choices(vertical, params)
    elif vertical.predicts_number:
        from core.regression.choices import check_regression_choices

        check_regression_choices(vertical, params)
    else:
        from core.choices import check_choices

        check_choices(vertical, params)


def fetch_missing(vertical_name: str, root: Path) -> None:
    """Fetch the demo domains that params.yaml names and data/ lacks.

    Raises:
        MissingArtifactError: a domain is neither there nor a demo domain.
    """
    vertical = load_vertical(vertical_name)
    params = load_params(root / "params.yaml", vertical_name, vertical.params_type).prepare
    folder = root / "data" / vertical_name
    needed = [params.target_domain, *params.source_domains]
    missing = [name for name in needed if not (folder / name / "domain.yaml").exists()]
    unknown = [name for name in missing if name not in vertical.demo_domains]
    if unknown:
        here = sorted(path.parent.name for path in folder.glob("*/domain.yaml"))
        raise MissingArtifactError(
            f"There is no domain '{unknown[0]}' in data/{vertical_name}.",
            repair=did_you_mean(unknown[0], [*here, *vertical.demo_domains])
            + f" Your own data: `crossdomain import {vertical_name} {unknown[0]} FILE` (--help: its options).",
        )
    if missing:
        fetch_domains(vertical_name, missing, root)
