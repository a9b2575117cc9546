"""Demo radiographs as a domain's folder: rows, pictures, masks, domain.yaml."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.domain import DomainSpec
from core.data.domain_folder import create_domain_folder, sha256_of
from core.data.raw_table import problem_frame
from core.images.archive import archive_path, write_archive
from verticals.chest_xray.domains.hospitals import HOSPITALS, Hospital
from verticals.chest_xray.domains.medmnist import FILES, choose_rows, iterate_pictures, png_bytes
from verticals.chest_xray.domains.synthetic import Radiograph, draw, plan_radiographs

BATCH = "initial"
TOLD_EVERY = 200  # pictures


def write_synthetic(
    folder: Path, spec: DomainSpec, *, hospital: Hospital | None = None, report: Callable[[str], None] = print
) -> DomainSpec:
    """Draw a hospital's radiographs (about 0.05 s each) and write them as a domain; returns the spec as written."""
    hospital = hospital or HOSPITALS[spec.name]
    plan = list(plan_radiographs(hospital))
    files, digest, has_mask = [], hashlib.sha256(), []
    for number, radiograph in enumerate(plan, start=1):
        drawn = draw(radiograph)
        digest.update(drawn.pixels.tobytes())
        files.append((f"{BATCH}/{radiograph.name}.png", png_bytes(drawn.pixels)))
        has_mask.append(bool(drawn.mask.any()))
        if has_mask[-1]:
            mask = np.where(drawn.mask, np.uint8(255), np.uint8(0))
            files.append((f"{BATCH}/{radiograph.name}_mask.png", png_bytes(mask)))
        if number % TOLD_EVERY == 0:
            report(f"  {spec.name}: {number:,} of {len(plan):,} drawn")
    rows = pd.DataFrame([_row(*pair) for pair in zip(plan, has_mask, strict=True)], dtype=object)
    return _write(folder, replace(spec, sha256=digest.hexdigest()), rows, iter(files), "drawn")


def _row(radiograph: Radiograph, has_mask: bool) -> dict[str, str | None]:
    anatomy, name = radiograph.anatomy, radiograph.name
    return {
        "image": f"{BATCH}/{name}.png",
        "file": f"{name}.png",
        "label": "normal" if radiograph.finding is None else "disease",
        "patient": radiograph.patient,
        "view": radiograph.pose.view,
        "age": str(anatomy.age_years),
        "sex": "F" if anatomy.is_female else "M",
        "marker": "portable" if radiograph.film.is_portable else "plain",
        "mask": f"{BATCH}/{name}_mask.png" if has_mask else None,
    }


def write_medmnist(folder: Path, spec: DomainSpec, path: Path) -> DomainSpec:
    """Write the chosen pictures of MedMNIST's verified file as a domain; returns the spec as written."""
    chosen = choose_rows(path, FILES[spec.name])
    rows = chosen.assign(file=chosen["image"].str.removeprefix(f"{BATCH}/")).astype(object)
    spec = replace(spec, sha256=sha256_of(path))
    return _write(folder, spec, rows, iterate_pictures(path, chosen), path.name)


def _write(
    folder: Path, spec: DomainSpec, rows: pd.DataFrame, files: Iterator[tuple[str, bytes]], origin: str
) -> DomainSpec:
    rows = rows[[column.name for column in spec.raw_columns]]
    entry = {"name": BATCH, "file": origin, "sha256": spec.sha256, "rows": len(rows), "quarantined": 0}

    def write_pictures(new: Path) -> None:
        write_archive(archive_path(new, BATCH), files)

    create_domain_folder(folder, spec, rows, problem_frame([]), entry, write_more=write_pictures)
    return spec
