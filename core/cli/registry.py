"""`crossdomain registry`: the versions of a vertical's model, which one is the champion, and a change of that."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.project import project_root
from core.vertical import load_vertical

if TYPE_CHECKING:
    from core.lifecycle.registry import Stages, Version

HELP = """Show the registered versions of a vertical's model; make one the champion, go back, or put one away.

Example: crossdomain registry list credit_risk

Example: crossdomain registry promote credit_risk v0003 --reason "better on the last quarter"

Example: crossdomain registry rollback credit_risk --reason "too many refusals since Monday"

Every change is kept in registry/VERTICAL/stages.json with who and why. Before a version becomes the champion, every
file of its model is compared with the version's record; a model that is not on this machine comes with `dvc pull`.
"""
app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)
COLUMNS = ("version", "stage", "created", "target domain", "metric", "data", "commit")

VerticalName = Annotated[str, typer.Argument(help="For example credit_risk.")]
VersionName = Annotated[str, typer.Argument(help="For example v0003, as `registry list` shows it.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept.")]
Who = Annotated[str | None, typer.Option(help="Who decides; this machine's user when left out.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for another program.")]


@app.command("list")
def list_all(vertical: VerticalName, as_json: AsJson = False) -> None:
    """All versions with their stage, oldest first; * beside a commit: with changes that were in none.

    Example: crossdomain registry list credit_risk
    """
    metric = load_vertical(vertical).metrics[0]
    from core.lifecycle.registry import list_versions, read_stages

    root = project_root()
    versions, stages = list_versions(root, vertical), read_stages(root, vertical)
    if as_json:
        _print_json([_with_stage(version, stages) for version in versions])
        return
    if not versions:
        typer.echo("No version yet.")
        return
    for line in table_lines([COLUMNS, *(_row(version, stages, metric) for version in versions)]):
        typer.echo(line)


@app.command("show")
def show(vertical: VerticalName, version: VersionName, as_json: AsJson = False) -> None:
    """One version's record, and what was decided on it.

    Example: crossdomain registry show credit_risk v0003
    """
    load_vertical(vertical)
    from core.lifecycle.registry import read_stages, read_version

    root = project_root()
    record = _with_stage(read_version(root, vertical, version), read_stages(root, vertical))
    if as_json:
        _print_json(record)
        return
    for line in record_lines(record):
        typer.echo(line)


@app.command("promote")
def promote(
    vertical: VerticalName,
    version: VersionName,
    reason: Reason = "",
    who: Who = None,
    allow_dirty: Annotated[
        bool, typer.Option("--allow-dirty", help="Also a model of code that was in no commit.")
    ] = False,
) -> None:
    """Make a version the champion.

    Example: crossdomain registry promote credit_risk v0003 --reason "better on the last quarter"
    """
    load_vertical(vertical)
    from core.lifecycle.registry import promote as promote_version
    from core.lifecycle.registry import read_stages

    root = project_root()
    before, by = read_stages(root, vertical), who or getpass.getuser()
    after = promote_version(root, vertical, version, who=by, reason=reason, allow_dirty=allow_dirty)
    _tell_champion(vertical, before, after)
    _tell_mlflow(root, vertical)


@app.command("rollback")
def rollback(
    vertical: VerticalName,
    reason: Reason = "",
    who: Who = None,
    to: Annotated[str | None, typer.Option(help="A still earlier champion, such as v0001.")] = None,
) -> None:
    """Make the champion before the present one champion again; once more goes one further back.

    Example: crossdomain registry rollback credit_risk --reason "too many refusals since Monday"
    """
    load_vertical(vertical)
    from core.lifecycle.registry import read_stages
    from core.lifecycle.registry import rollback as roll_back

    root = project_root()
    before = read_stages(root, vertical)
    after = roll_back(root, vertical, who=who or getpass.getuser(), reason=reason, to=to)
    _tell_champion(vertical, before, after)
    _tell_mlflow(root, vertical)


@app.command("archive")
def archive(vertical: VerticalName, version: VersionName, reason: Reason = "", who: Who = None) -> None:
    """Put a version away: no challenger any more, and no rollback goes to it.

    Example: crossdomain registry archive credit_risk v0002 --reason "trained on wrong labels"
    """
    load_vertical(vertical)
    from core.lifecycle.registry import archive as archive_version

    archive_version(project_root(), vertical, version, who=who or getpass.getuser(), reason=reason)
    typer.echo(f"{version} is archived; its record and its model stay. Keep it: git add registry/{vertical}")


def table_lines(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows of texts as lines, each column as wide as its widest."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def record_lines(values: Mapping[str, Any], within: str = "") -> list[str]:
    """Nested values as `path: value`, one a line."""
    lines: list[str] = []
    for name, value in values.items():
        path = f"{within}.{name}" if within else name
        if isinstance(value, Mapping) and value:
            lines += record_lines(value, path)
        elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            lines += [line for number, item in enumerate(value, 1) for line in record_lines(item, f"{path}.{number}")]
        else:
            lines.append(f"{path}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
    return lines


def _row(version: Version, stages: Stages, metric: str) -> tuple[str, ...]:
    from core.lifecycle.registry import stage_of

    lineage = version.lineage
    commit = lineage.code_commit[:8] or "none"
    return (
        version.version,
        stage_of(version, stages),
        version.created_at[:16],
        version.target_domain,
        _headline(metric, version.metrics.get(metric)),
        lineage.data_md5[:8],
        commit + ("*" if lineage.is_code_dirty else ""),
    )


def _headline(name: str, value: Any) -> str:
    """`auc 0.801 [0.737, 0.856]`, as far as it was measured."""
    told = value if isinstance(value, Mapping) else {"value": value}
    if told.get("value") is None:
        return f"{name} -"
    has_interval = told.get("low") is not None and told.get("high") is not None
    interval = f" [{told['low']:.3f}, {told['high']:.3f}]" if has_interval else ""
    return f"{name} {told['value']:.3f}{interval}"


def _with_stage(version: Version, stages: Stages) -> dict[str, Any]:
    """A record with its stage and the changes of it."""
    from core.lifecycle.registry import stage_of

    changes = [asdict(change) for change in stages.changes if change.version == version.version]
    return {**version.to_dict(), "stage": stage_of(version, stages), "changes": changes}


def _tell_champion(vertical: str, before: Stages, after: Stages) -> None:
    if after == before:
        typer.echo(f"{after.champion} is the champion already; nothing was changed.")
        return
    typer.echo(f"{vertical}: {after.champion} is the champion now; before it was {before.champion or 'none'}.")
    typer.echo(f"Keep it: git add registry/{vertical} && git commit -m '{vertical}: champion {after.champion}'")


def _tell_mlflow(root: Path, vertical: str) -> None:
    """Where `retrain.mlflow` names a server; the champion here is the champion, whatever it answers."""
    from core.lifecycle.registry.mlflow_mirror import MlflowParams, tell_mlflow
    from core.params import parse_section, read_params_file

    section = (read_params_file(root / "params.yaml").get(vertical) or {}).get("retrain") or {}
    params = parse_section(MlflowParams, section.get("mlflow") or {}, where=f"{vertical}.retrain.mlflow")
    told = tell_mlflow(root, vertical, params)
    if "error" in told:
        typer.echo(f"MLflow was not told: {told['error']}. The next promotion or retraining tells it.", err=True)
    elif told:
        typer.echo(f"MLflow: alias champion of {told['model']} is version {told['champion']}.")


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))
