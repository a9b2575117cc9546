"""Domains for a protocol: every picture of one or several lines as Samples, fitted to one size."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.domain import DomainSpec
from core.data.samples import Samples
from core.errors import MissingArtifactError
from core.images.spec import ImageSpec
from core.images.store import attach_pixels, write_masks, write_pixels
from verticals.defect_detection.dataset import open_dataset, read_domain


def open_lines(root: Path, names: Sequence[str], spec: ImageSpec, *, report: Callable[[str], None] = print) -> Samples:
    """All rows of the domains, labelled as their domain.yaml says; nothing is split or masked.

    Raises:
        MissingArtifactError: a domain is not there.
    """
    rows, columns, specs = [], {}, {}
    for name in names:
        folder = Path(root) / "data" / "defect_detection" / name
        if not folder.exists():
            raise MissingArtifactError(
                f"Domain '{name}' is not in data/.",
                repair="`crossdomain fetch defect_detection` brings the demo lines, `crossdomain import` your own.",
            )
        domain = read_domain(folder)
        fitted = _fitted_to(domain.spec, spec)
        image_name = fitted.image_column.name
        with tempfile.TemporaryDirectory() as temporary:
            write_pixels(Path(temporary), folder, fitted, list(domain.columns[image_name]), say=report)
            attached = attach_pixels(domain.columns[[image_name]], fitted, Path(temporary))
            images = [replace(i, pixels=np.array(i.pixels)) for i in attached[image_name]]
        columns[name] = pd.DataFrame({image_name: pd.Series(images, dtype=object)})
        specs[name] = fitted
        rows.append(domain.manifest.assign(split="train", is_masked=False))
    return open_dataset(pd.concat(rows, ignore_index=True), columns, specs, names[0])


def attribute_of(root: Path, name: str, column: str) -> np.ndarray:
    """(N,) texts of a column of the domain, row by row as `open_lines` has them."""
    return read_domain(Path(root) / "data" / "defect_detection" / name).columns[column].to_numpy(dtype=object)


def masks_of(root: Path, name: str, spec: ImageSpec, samples: Samples) -> np.ndarray:
    """(N, S, S) uint8 masks of the rows; zero where a row has none."""
    folder = Path(root) / "data" / "defect_detection" / name
    domain = read_domain(folder)
    fitted = _fitted_to(domain.spec, spec)
    column = next(c.name for c in fitted.with_use("annotation") if c.kind == "mask")
    place = {sample_id: row for row, sample_id in enumerate(samples.sample_ids)}
    found = np.zeros((len(samples), spec.side_px, spec.side_px), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as temporary:
        ids = list(domain.manifest["sample_id"])
        write_masks(Path(temporary), folder, fitted, list(domain.columns[column]), ids)
        masks = np.load(Path(temporary) / f"masks_{name}.npy")
        told = pd.read_parquet(Path(temporary) / f"masks_{name}.parquet")["sample_id"]
    for mask, sample_id in zip(masks, told, strict=True):
        if sample_id in place:
            found[place[sample_id]] = mask
    return found


def _fitted_to(domain: DomainSpec, spec: ImageSpec) -> DomainSpec:
    """The domain with its pictures fitted as told."""
    columns = (replace(column, image=spec) if column.kind == "image" else column for column in domain.columns)
    return replace(domain, columns=tuple(columns))
