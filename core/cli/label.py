"""`crossdomain label`: labels that come after their rows, as a batch of the domain's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from core.cli.project import project_root
from core.data.domain import DomainSpec, read_domain_spec
from core.data.late_labels import COLUMNS, add_late_labels
from core.data.raw_table import RawTable
from core.data.reading import read_raw_table
from core.errors import BadInputError
from core.vertical import load_case_vertical

HELP = """Add labels that come after their rows; they replace earlier ones, which stay where they are.

Example: crossdomain label credit_risk my_bank outcomes.csv --batch 2026-11

The file has a column sample_id, or the domain's key column, and a column label in the words of domain.yaml; an empty
label takes an earlier one back. Where known, labelled_by and labelled_at are kept, too.
"""


def label(
    vertical: Annotated[str, typer.Argument(help="For example credit_risk.")],
    domain: Annotated[str, typer.Argument(help="A domain of data/VERTICAL.")],
    path: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, CSV.GZ, Parquet or JSON.")],
    batch: Annotated[str, typer.Option(help="Name of this delivery of labels; each is added once.")],
) -> None:
    """Add a batch of late labels."""
    load_case_vertical(vertical)
    folder = project_root() / "data" / vertical / domain
    spec = read_domain_spec(folder)
    added = add_late_labels(folder, late_label_table(read_raw_table(path), spec, file_name=path.name), batch)
    typer.echo(f"{added.num_labels:,} labels added, {added.num_withdrawn:,} withdrawn, as batch '{added.name}'.")
    typer.echo(f"Next: crossdomain run {vertical}")


def late_label_table(raw: RawTable, spec: DomainSpec, *, file_name: str) -> pd.DataFrame:
    """A file's rows as `add_late_labels` takes them; the key column becomes the sample id.

    Raises:
        BadInputError: a row cannot be read, or the file has neither sample_id nor the key, or no label.
    """
    if len(raw.problems):
        first = raw.problems.iloc[0]
        raise BadInputError(
            f"{file_name}: {len(raw.problems):,} rows cannot be read, for example row {first['row']}:"
            f" {first['reason']}.",
            repair="Correct the file; no label was added.",
        )
    frame = raw.frame
    keys = [column.name for column in spec.with_use("key") if column.name in frame]
    labels = [name for name in ("label", spec.label_column) if name in frame]
    if ("sample_id" not in frame and not keys) or not labels:
        key = " or ".join(["sample_id", *(column.name for column in spec.with_use("key"))])
        raise BadInputError(
            f"{file_name} has the columns {', '.join(frame.columns)}.", repair=f"It needs {key}, and label."
        )
    table = frame[[name for name in COLUMNS if name in frame]].assign(label=frame[labels[0]])
    if "sample_id" not in frame:
        table["sample_id"] = f"{spec.name}/" + frame[keys[0]].str.strip()
    return table
