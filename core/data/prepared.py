"""What the prepare stage wrote, opened as Samples: a stage gets the splits it asks for and no other row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd

from core.artifacts import Artifacts, read_json
from core.data.domain import DomainSpec
from core.data.manifest import REGRESSION
from core.data.samples import Samples
from core.errors import MissingArtifactError
from core.params import VerticalParams, parse_section
from core.vertical import Vertical

PREPARED_SPLITS = ("source_train", "source_valid", "train", "valid", "test")  # what stages and pages may ask for


def read_manifest(artifacts: Artifacts) -> pd.DataFrame:
    """Every prepared row.

    Raises:
        MissingArtifactError: prepare has not run.
    """
    return pd.read_parquet(artifacts.require("prepare", "manifest.parquet"))


def read_specs(artifacts: Artifacts) -> dict[str, DomainSpec]:
    """The domains as prepared, target first; columns taken out as features have use `ignore`.

    Raises:
        MissingArtifactError: prepare has not run.
    """
    values = read_json(artifacts.require("prepare", "specs.json"))
    return {name: parse_section(DomainSpec, spec, where=f"specs.json/{name}") for name, spec in values.items()}


def specs_to_plain(specs: dict[str, DomainSpec]) -> dict[str, dict]:
    """JSON-ready; inverse of what `read_specs` reads."""
    return {name: asdict(spec) for name, spec in specs.items()}


def open_prepared(
    vertical: Vertical,
    params: VerticalParams,
    artifacts: Artifacts,
    splits: Sequence[str] = ("train", "valid"),
) -> dict[str, Samples]:
    """The splits asked for, each as Samples in the target's schema; without source domains those are empty.

    Scales and categories come from training rows whatever is asked for, so the schema is the same in every call.
    Labels outside the label budget are not there.

    Raises:
        ValueError: a split that does not exist.
        MissingArtifactError: prepare has not run, or ran with other domains.
    """
    known = (*PREPARED_SPLITS, REGRESSION)
    unknown = set(splits) - set(known)
    if unknown:
        raise ValueError(f"unknown splits {sorted(unknown)}; choose from {known}")
    target = params.prepare.target_domain
    specs = read_specs(artifacts)
    if set(specs) != {target, *params.prepare.source_domains}:
        raise MissingArtifactError(
            f"The prepared domains are {sorted(specs)}, but params.yaml names target '{target}' and sources"
            f" {list(params.prepare.source_domains)}.",
            repair=f"Run `dvc repro prepare@{vertical.name}` first.",
        )
    manifest = read_manifest(artifacts)
    is_source = (manifest["domain"] != target).to_numpy()
    role = np.where(is_source, "source_", "") + manifest["split"].to_numpy(dtype=str)
    is_opened = np.isin(role, list(splits)) | (manifest["split"] == "train").to_numpy()
    columns_by_domain = {}
    for domain in specs:
        rows = (manifest["domain"] == domain).to_numpy()
        columns = pd.read_parquet(artifacts.require("prepare", f"columns/columns_{domain}.parquet"))
        if specs[domain].image_column is not None:
            from core.images.store import attach_pixels

            columns = attach_pixels(columns, specs[domain], artifacts.path("prepare", "columns"))
        columns_by_domain[domain] = columns[is_opened[rows]].reset_index(drop=True)
    samples = vertical.open_dataset(
        manifest[is_opened],
        columns_by_domain,
        specs,
        target,
        use_protected=params.prepare.use_protected,
        drop_columns=params.prepare.drop_columns,
    )
    return {name: samples.take(role[is_opened] == name) for name in splits}
