"""Hospitals for a protocol: every radiograph of one or several domains as Samples, and their other columns."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.domain import DomainSpec
from core.data.samples import Samples
from core.data.table_dataset import open_table_dataset, read_table_domain
from core.errors import MissingArtifactError
from core.images.spec import ImageSpec
from core.images.store import attach_pixels, write_pixels

VERTICAL = "chest_xray"


def open_hospitals(
    root: Path, names: Sequence[str], spec: ImageSpec, *, report: Callable[[str], None] = print
) -> tuple[Samples, pd.DataFrame]:
    """(all rows of the domains, their columns beside the picture), labelled as their domain.yaml says; nothing is
    split or masked. The columns have `domain`, `file` and, where the domain has them, `split`, `view`, `age`, `sex`.

    Raises:
        MissingArtifactError: a domain is not there.
    """
    rows, columns, specs, more = [], {}, {}, []
    for name in names:
        domain = read_table_domain(_folder_of(root, name))
        fitted = _fitted_to(domain.spec, spec)
        image_name = fitted.image_column.name
        with tempfile.TemporaryDirectory() as temporary:
            write_pixels(Path(temporary), _folder_of(root, name), fitted, list(domain.columns[image_name]), say=report)
            attached = attach_pixels(domain.columns[[image_name]], fitted, Path(temporary))
            images = [replace(image, pixels=np.array(image.pixels)) for image in attached[image_name]]
        columns[name] = pd.DataFrame({image_name: pd.Series(images, dtype=object)})
        specs[name] = fitted
        told = domain.columns.rename(columns={image_name: "file"}) if "file" not in domain.columns else domain.columns
        more.append(told.drop(columns=image_name, errors="ignore").reset_index(drop=True).assign(domain=name))
        rows.append(domain.manifest.assign(split="train", is_masked=False))
    samples = open_table_dataset(pd.concat(rows, ignore_index=True), columns, specs, names[0])
    return samples, pd.concat(more, ignore_index=True)


def _folder_of(root: Path, name: str) -> Path:
    folder = Path(root) / "data" / VERTICAL / name
    if not folder.exists():
        raise MissingArtifactError(
            f"Domain '{name}' is not in data/.",
            repair=f"`crossdomain import {VERTICAL} {name} FOLDER --label label --group patient_id`, with "
            "`--split split` where the publisher split it.",
        )
    return folder


def _fitted_to(domain: DomainSpec, spec: ImageSpec) -> DomainSpec:
    """The domain with its pictures fitted as told."""
    columns = (replace(column, image=spec) if column.kind == "image" else column for column in domain.columns)
    return replace(domain, columns=tuple(columns))
