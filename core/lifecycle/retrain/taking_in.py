"""Step 1: the delivery into the domain's folder, through the same import as by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.data.domain_folder import batch_names, read_batches
from core.data.held_batches import has_batch
from core.errors import MissingArtifactError
from core.lifecycle.retrain.batch_source import BatchSource
from core.vertical import Vertical


def take_in(
    data_folder: Path,
    vertical: Vertical,
    target: str,
    source: BatchSource | None,
    *,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Import the delivery, unless an earlier start of this run has done so; which batches the target has then.

    Whether it was there before the run is asked when the run begins (`refuse_known_batch`), so a batch that is found
    here is this run's own. options: of the vertical's import, besides the batch's name.

    Raises:
        BadInputError: the import refuses the delivery.
        MissingArtifactError: the domain is not known yet, or the file is gone.
    """
    folder = Path(data_folder) / vertical.name / (source.domain if source is not None else target)
    if not (folder / "domain.yaml").exists():
        raise MissingArtifactError(
            f"There is no domain '{folder.name}' in data/{vertical.name}.",
            repair=f"Bring its first rows by `crossdomain import {vertical.name} {folder.name} FILE --label COLUMN`.",
        )
    told: dict[str, Any] = {"domain": folder.name, "batch": None, "notes": []}
    if source is not None:
        if not has_batch(folder, source.name):
            outcome = vertical.import_domain(
                source.path, Path(data_folder), source.domain, batch=source.name, **(options or {})
            )
            told["notes"] = list(outcome.notes)
        entry = next(entry for entry in read_batches(folder) if entry["name"] == source.name)
        told |= {"batch": source.name, "rows": entry["rows"], "quarantined": entry.get("quarantined", 0)}
    return {**told, "batches": batch_names(folder)}
