"""Whole domains as Samples, and results as JSON with the command that made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.data.domain import DomainSpec
from core.data.samples import Samples
from core.errors import MissingArtifactError
from core.reporting.protocol_result import write_protocol_result
from verticals.credit_risk.dataset import open_dataset, read_domain

FOLDER = "credit_risk"


def open_domains(
    root: Path, target: str, sources: Sequence[str] = (), *, test_from: str | None = None, **options: Any
) -> tuple[Samples, np.ndarray, pd.Series, DomainSpec]:
    """Rows of the target and of the sources in the target's schema.

    Rows of the target from the day `test_from` on are marked as test, so that nothing is fitted on them. Returns the
    samples, (N,) bool of test rows, (N,) times and the target's spec.

    Raises:
        MissingArtifactError: a domain is not there; the repair names the command.
    """
    parts = {name: _read(root, name) for name in [target, *sources]}
    manifest = pd.concat([part.manifest for part in parts.values()], ignore_index=True)
    times = manifest["time"]
    is_test = np.zeros(len(manifest), dtype=bool)
    if test_from is not None:
        is_test = ((manifest["domain"] == target) & (times >= pd.Timestamp(test_from))).to_numpy()
    manifest["split"] = np.where(is_test, "test", "train")
    manifest["is_masked"] = False
    samples = open_dataset(
        manifest,
        {name: part.columns for name, part in parts.items()},
        {name: part.spec for name, part in parts.items()},
        target,
        **options,
    )
    return samples, is_test, times, parts[target].spec


def _read(root: Path, name: str) -> Any:
    """One domain's rows."""
    folder = root / "data" / FOLDER / name
    if not (folder / "domain.yaml").exists():
        raise MissingArtifactError(
            f"The protocol needs the domain '{name}'.",
            repair=IMPORT_LENDINGCLUB if name == "lendingclub_text" else "Run `crossdomain fetch credit_risk`.",
        )
    return read_domain(folder)


IMPORT_LENDINGCLUB = (
    "Import it: crossdomain import credit_risk lendingclub_text loans.csv.gz --label bad --positive 1 --key id "
    "--time issue_date --text description --text employ_title --after-outcome loan_status --after-outcome recoveries "
    "--after-outcome total_rec_int --after-outcome total_rec_late_fee --after-outcome total_rec_prncp"
)


def refit_schema(samples: Samples, train_rows: np.ndarray) -> Samples:
    """The same samples with the categories of the training rows only."""
    return samples.with_inputs(samples.inputs, samples.schema.with_categories_of(samples.inputs.iloc[train_rows]))


def write_result(root: Path, protocol: str, result: Mapping[str, Any]) -> Path:
    """`verticals/credit_risk/results/<protocol>.json` with the command and the versions beside the figures."""
    packages = ("xgboost", "optbinning", "transformers")
    return write_protocol_result(root, FOLDER, protocol, result, packages)
