"""Pictures decoded and fitted once by prepare: one array a domain, whose rows stand in the order of its columns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.data.domain import DomainSpec
from core.errors import BadInputError
from core.images.archive import iterate_archive
from core.images.decoding import BadImage, decode
from core.images.fitting import fit, fit_mask
from core.images.image import Image, pixels_digest
from core.images.spec import ImageSpec

SAY_EVERY_SECONDS = 10.0
CHANNELS = {"grey": 1, "rgb": 3}


def write_pixels(
    folder: Path,
    domain_folder: Path,
    spec: DomainSpec,
    cells: Sequence[str],
    *,
    say: Callable[[str], None] = print,
) -> None:
    """Write `pixels_<domain>.npy` (N, S, S, C) uint8 and `pixels_<domain>.parquet` (digest, size of the original).

    cells: (N,) what the image column holds, `<batch>/<file>`.

    Raises:
        BadInputError: a picture is not in the domain's archive or cannot be decoded.
    """
    image_spec = spec.image_column.image or ImageSpec()
    side, started, told = image_spec.side_px, time.perf_counter(), time.perf_counter()
    shape = (len(cells), side, side, CHANNELS[image_spec.colour])
    pixels = np.lib.format.open_memmap(folder / f"pixels_{spec.name}.npy", mode="w+", dtype=np.uint8, shape=shape)
    facts: list[tuple[str, int, int]] = [("", 0, 0)] * len(cells)
    rows_of: dict[str, list[int]] = {}
    for row, cell in enumerate(cells):
        rows_of.setdefault(cell, []).append(row)
    num_done = 0
    for cell, raw in _archived(domain_folder, spec.name, rows_of):
        array = _decode(raw, spec.name, cell)
        fitted = fit(array, image_spec)
        for row in rows_of[cell]:
            pixels[row] = fitted
            facts[row] = (pixels_digest(fitted), array.shape[0], array.shape[1])
        num_done += len(rows_of[cell])
        if time.perf_counter() - told > SAY_EVERY_SECONDS:
            told = time.perf_counter()
            left = (told - started) / num_done * (len(cells) - num_done)
            say(f"prepare: {spec.name}: {num_done:,} of {len(cells):,} pictures, about {left:.0f} s left")
    pixels.flush()
    frame = pd.DataFrame(facts, columns=["digest", "height_px", "width_px"])
    frame.to_parquet(folder / f"pixels_{spec.name}.parquet", index=False)


def write_masks(
    folder: Path, domain_folder: Path, spec: DomainSpec, cells: Sequence[str | None], sample_ids: Sequence[str]
) -> None:
    """Write `masks_<domain>.npy` (M, S, S) uint8 0/1 and `masks_<domain>.parquet` (sample_id) of the rows with a mask.

    Raises:
        BadInputError: a mask is not in the domain's archive or cannot be decoded.
    """
    image_spec = spec.image_column.image or ImageSpec()
    wanted = {str(cell): row for row, cell in enumerate(cells) if isinstance(cell, str) and cell}
    masks, ids = [], []
    for cell, raw in _archived(domain_folder, spec.name, wanted):
        masks.append(fit_mask(_decode(raw, spec.name, cell), image_spec))
        ids.append(sample_ids[wanted[cell]])
    side = image_spec.side_px
    np.save(folder / f"masks_{spec.name}.npy", np.array(masks, dtype=np.uint8).reshape(-1, side, side))
    pd.DataFrame({"sample_id": ids}, dtype=object).to_parquet(folder / f"masks_{spec.name}.parquet", index=False)


def attach_pixels(columns: pd.DataFrame, spec: DomainSpec, folder: Path) -> pd.DataFrame:
    """The columns with an `Image` in each cell of the image column; pixels stay on disk until they are read."""
    column = spec.image_column
    if column is None:
        return columns
    pixels = np.load(folder / f"pixels_{spec.name}.npy", mmap_mode="r", allow_pickle=False)
    facts = pd.read_parquet(folder / f"pixels_{spec.name}.parquet")
    images = [
        Image(pixels[row], digest, int(height), int(width))
        for row, (digest, height, width) in enumerate(
            zip(facts["digest"], facts["height_px"], facts["width_px"], strict=True)
        )
    ]
    return columns.assign(**{column.name: pd.Series(images, dtype=object, index=columns.index)})


def read_masks(folder: Path, domain: str, sample_ids: Sequence[str]) -> dict[str, np.ndarray]:
    """Sample id -> (S, S) uint8 mask, of those ids that have one; for evaluation, never for training."""
    path = folder / f"masks_{domain}.npy"
    if not path.exists():
        return {}
    masks = np.load(path, mmap_mode="r", allow_pickle=False)
    ids = pd.read_parquet(folder / f"masks_{domain}.parquet")["sample_id"]
    wanted = set(sample_ids)
    return {sample_id: np.asarray(masks[row]) for row, sample_id in enumerate(ids) if sample_id in wanted}


def _archived(domain_folder: Path, domain: str, wanted: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """(cell, bytes) of every wanted cell, archive by archive.

    Raises:
        BadInputError: one is missing.
    """
    found = 0
    for path in sorted((domain_folder / "images").glob("[!.]*.parquet")):
        for archived in iterate_archive(path, wanted.keys()):
            found += 1
            yield archived.file, archived.raw
    if found < len(wanted):
        raise BadInputError(
            f"Domain '{domain}': {len(wanted) - found} of {len(wanted)} pictures are not in its archive.",
            repair="Import the domain again, or restore data/ with `dvc checkout`.",
        )


def _decode(raw: bytes, domain: str, cell: str) -> np.ndarray:
    try:
        return decode(raw)
    except BadImage as error:
        raise BadInputError(f"Domain '{domain}': {cell} cannot be read: {error}.", repair="Import it again.") from None
