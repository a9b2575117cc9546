"""`crossdomain predict`: score a file with the saved model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.cli.project import project_root
from core.errors import CrossdomainError
from core.lifecycle.served_model import served_model
from core.vertical import load_vertical

HELP = """Score a file or pictures with the vertical's model; rows come out in the order they came in.

Example: crossdomain predict credit_risk applications.csv -o scores.csv

Example: crossdomain predict defect_detection pictures/ -o decisions.csv

The model is the registry's champion, or before the first promotion that of the pipeline's last run. The input needs
no label. A row or picture that cannot be scored stays in the output with its reason. Reasons of a
picture are heat maps, written into a folder beside the output.
"""


def predict(
    vertical: Annotated[str, typer.Argument(help="For example credit_risk.")],
    input_path: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="CSV, CSV.GZ, Parquet, JSON; for pictures a folder, a pattern in quotes, one file, a zip or a tar.",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="CSV to write.")],
    model: Annotated[Path | None, typer.Option(help="Another model folder than the champion's.")] = None,
    rows_per_chunk: Annotated[int, typer.Option(min=1, help="Rows held in memory at a time.")] = 50_000,
    explain: Annotated[bool, typer.Option("--reasons/--no-reasons", help="Write reasons, or heat maps.")] = True,
) -> None:
    """Score a file."""
    chosen = load_vertical(vertical)
    if chosen.predict is None:
        raise CrossdomainError(f"{vertical} has no predict yet.")
    folder = model
    if folder is None:
        served = served_model(project_root(), vertical)
        folder = served.folder
        typer.echo(f"Model: {f'champion {served.version}' if served.version else 'of the last pipeline run'}")
    summary = chosen.predict(
        input_path, output, folder, rows_per_chunk=rows_per_chunk, explain=explain, progress=typer.echo
    )
    typer.echo(str(summary))
