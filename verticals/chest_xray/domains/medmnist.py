"""PneumoniaMNIST and ChestMNIST at 224 px as two hospitals, from MedMNIST's archive."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image as PillowImage

from core.errors import VerificationError

SPLITS = {"train": "train", "val": "valid", "test": "test"}  # the archive's words -> ours
DRAW_SEED = 0


@dataclass(frozen=True)
class MedMnistFile:
    """One file of the archive. diseased, ignored: columns of its labels; without `diseased` the label is one column.

    most: pictures at most of each of its splits, drawn evenly from those that serve; None takes all.
    """

    file_name: str
    md5: str
    diseased: tuple[int, ...] = ()
    most: tuple[int | None, int | None, int | None] = (None, None, None)

    @property
    def url(self) -> str:
        """Where the archive keeps it."""
        return f"https://zenodo.org/records/10519652/files/{self.file_name}?download=1"


# ChestMNIST's 14 findings in order: atelectasis, cardiomegaly, effusion, infiltration, mass, nodule, pneumonia,
# pneumothorax, consolidation, edema, emphysema, fibrosis, pleural, hernia.
FILES = {
    "demo_children": MedMnistFile("pneumoniamnist_224.npz", "d6a3c71de1b945ea11211b03746c1fe1"),
    "demo_adults": MedMnistFile(
        "chestmnist_224.npz", "45bd33e6f06c3e8cdb481c74a89152aa", diseased=(3, 6, 8), most=(2400, 400, 1200)
    ),
}


def diseased_or_not(labels: np.ndarray, diseased: tuple[int, ...]) -> np.ndarray:
    """(N,) float: 1 disease, 0 no finding, NaN for pictures that serve neither, such as an effusion alone.

    Shape: labels (N, C) 0/1, or (N, 1) where `diseased` is empty.
    """
    labels = np.asarray(labels)
    if not diseased:
        return labels[:, 0].astype(float)
    has_disease = labels[:, list(diseased)].any(axis=1)
    return np.where(has_disease, 1.0, np.where(labels.any(axis=1), np.nan, 0.0))


def choose_rows(path: Path, chosen: MedMnistFile) -> pd.DataFrame:
    """Columns member, row, image, label, split of the pictures to take, in the archive's order.

    Raises:
        VerificationError: the file is no such archive.
    """
    random = np.random.default_rng(DRAW_SEED)
    parts = []
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for (word, split), most in zip(SPLITS.items(), chosen.most, strict=True):
                state = diseased_or_not(arrays[f"{word}_labels"], chosen.diseased)
                rows = np.flatnonzero(~np.isnan(state))
                if most is not None and len(rows) > most:
                    rows = np.sort(random.choice(rows, most, replace=False))
                words = np.where(state[rows] == 1, "disease", "normal")
                names = [f"initial/{word}_{row:05d}.png" for row in rows]
                member = f"{word}_images.npy"
                parts.append(
                    pd.DataFrame({"member": member, "row": rows, "image": names, "label": words, "split": split})
                )
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise VerificationError(
            f"{Path(path).name} is no archive of MedMNIST ({error}).", repair="Fetch again."
        ) from None
    return pd.concat(parts, ignore_index=True)


def iterate_pictures(path: Path, rows: pd.DataFrame) -> Iterator[tuple[str, bytes]]:
    """(cell, PNG) of the chosen rows; a picture at a time is in memory, because a member may hold gigabytes."""
    with zipfile.ZipFile(path) as archive:
        for member, part in rows.groupby("member", sort=False):
            with archive.open(str(member)) as file:
                yield from _iterate_member(file, dict(zip(part["row"], part["image"], strict=True)))


def _iterate_member(file: io.BufferedIOBase, wanted: dict[int, str]) -> Iterator[tuple[str, bytes]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, is_fortran, kind = read(file)
    if kind != np.uint8 or is_fortran or len(shape) != 3:
        raise VerificationError(f"The archive's pictures are {shape} {kind}, expected (N, H, W) uint8.")
    for row in range(max(wanted) + 1):
        raw = file.read(shape[1] * shape[2])
        if row in wanted:
            yield wanted[row], png_bytes(np.frombuffer(raw, np.uint8).reshape(shape[1:]))


def png_bytes(pixels: np.ndarray) -> bytes:
    """A PNG of grey pixels (H, W) uint8."""
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, format="png", compress_level=4)
    return buffer.getvalue()
