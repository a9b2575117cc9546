"""Every picture of a delivery looked at once: which can be taken in, and why the others cannot."""

from __future__ import annotations

import hashlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pandas as pd

from core.errors import BadInputError
from core.images.decoding import BadImage, decode_with_notes
from core.images.layouts import PICTURE_SUFFIXES

PROGRESS_SECONDS = 10.0
MAX_FILE_BYTES = 1024**3
COLOUR_LEVELS = 8  # channels that differ by less everywhere are a grey picture that was stored in colour


@dataclass
class PictureCheck:
    """What was found; positions are those of the table's rows.

    reasons: position -> why the picture is left out. mask_reasons: why a mask is dropped, its picture being kept.
    sha256: file -> digest of every file that is taken in. paths: file -> where it lies.
    """

    reasons: dict[int, str] = field(default_factory=dict)
    mask_reasons: dict[int, str] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)
    paths: dict[str, Path] = field(default_factory=dict)
    conversions: Counter = field(default_factory=Counter)
    num_colour: int = 0
    num_deep: int = 0  # of more than 8 bits


def print_progress(line: str) -> None:
    """A line for the person who waits; kept apart from what a command prints as its result."""
    print(line, file=sys.stderr, flush=True)


def check_pictures(
    files: pd.Series,
    masks: pd.Series | None,
    labels: pd.Series | None,
    lines: np.ndarray,
    root: Path,
    *,
    known: Mapping[str, tuple[str, str]],
    report: Callable[[str], None] = print_progress,
) -> PictureCheck:
    """Read and decode every picture and mask of a list.

    files, masks, labels: (N,) texts or missing; lines: (N,) row numbers for reasons.
    known: sha256 -> (batch, label) of the pictures that earlier batches have.
    """
    check, first_row = PictureCheck(), {}
    started = told = time.monotonic()
    for row, text in enumerate(files):
        name = "" if pd.isna(text) else str(text).strip()
        try:
            if name in first_row:
                raise BadImage(f"listed already in row {lines[first_row[name]]}")
            first_row[name] = row
            shape = _take(check, name, root, is_mask=False)
            if masks is not None and not pd.isna(masks.iloc[row]):
                _take_mask(check, row, str(masks.iloc[row]).strip(), root, shape)
        except BadImage as error:
            check.reasons[row] = error.reason
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            left = (told - started) / (row + 1) * (len(files) - row - 1)
            report(f"import: {row + 1:,} of {len(files):,} pictures looked at, about {left:.0f} s left")
    _set_repeats_aside(check, files, labels, lines, known)
    return check


def resolve_inside(root: Path, name: str) -> Path:
    """The file of a relative path below `root`.

    Raises:
        BadImage: the path is empty, absolute, leaves the folder (also by a link), is missing or no file.
    """
    if not name:
        raise BadImage("no path is given")
    posix = PurePosixPath(name.replace("\\", "/"))
    is_outside = posix.is_absolute() or PureWindowsPath(name).drive or ".." in posix.parts or "\0" in name
    path = root / posix
    if is_outside or not path.resolve().is_relative_to(root.resolve()):
        raise BadImage("its path leaves the folder and is not followed")
    if not path.is_file():
        raise BadImage("there is no such file")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise BadImage(f"the file is larger than {MAX_FILE_BYTES // 1024**2} MiB")
    return path


def find_unlisted(check: PictureCheck, files: Sequence[str], root: Path) -> list[str]:
    """Names of pictures that lie in the listed pictures' folders and are in no row."""
    listed = {path.resolve() for path in check.paths.values()}
    for name in files:
        try:
            listed.add(resolve_inside(root, name).resolve())
        except BadImage:
            continue
    found = []
    for folder in sorted({path.parent for path in listed}):
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file() and path.resolve() not in listed:
                found.append(path.name)
    return found


def _take(check: PictureCheck, name: str, root: Path, *, is_mask: bool) -> tuple[int, int]:
    """Note a sound file; its (H, W).

    Raises:
        BadImage: it is none.
    """
    path = resolve_inside(root, name)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadImage(f"the file cannot be read ({error.strerror})") from None
    decoded = decode_with_notes(raw)
    check.sha256[name], check.paths[name] = hashlib.sha256(raw).hexdigest(), path
    if not is_mask:
        check.conversions.update(decoded.notes)
        check.num_deep += decoded.pixels.dtype != np.uint8
        check.num_colour += _has_colour(decoded.pixels)
    return decoded.pixels.shape[:2]


def _take_mask(check: PictureCheck, row: int, name: str, root: Path, shape: tuple[int, int]) -> None:
    if not name:
        return
    try:
        mask_shape = _take(check, name, root, is_mask=True)
    except BadImage as error:
        check.mask_reasons[row] = error.reason
        return
    if mask_shape != shape:
        size, wanted = (f"{width} x {height}" for height, width in (mask_shape, shape))
        check.mask_reasons[row] = f"the mask has {size} px, its picture {wanted}"


def _has_colour(pixels: np.ndarray) -> bool:
    if pixels.ndim == 2:
        return False
    levels = pixels[:: max(1, len(pixels) // 256)].astype(np.int32)
    return bool((levels.max(axis=2) - levels.min(axis=2)).max() >= COLOUR_LEVELS)


def _set_repeats_aside(
    check: PictureCheck,
    files: pd.Series,
    labels: pd.Series | None,
    lines: np.ndarray,
    known: Mapping[str, tuple[str, str]],
) -> None:
    """Of byte-identical pictures the first stays; with contradicting labels none does.

    Raises:
        BadInputError: there are several pictures and all of them are the same.
    """
    words = [""] * len(files) if labels is None else ["" if pd.isna(t) else str(t).strip() for t in labels]
    names = ["" if pd.isna(text) else str(text).strip() for text in files]
    rows_of: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        if row not in check.reasons:
            rows_of.setdefault(check.sha256[name], []).append(row)
    if len(rows_of) == 1 and len(next(iter(rows_of.values()))) > 1:
        raise BadInputError(
            f"All {len(next(iter(rows_of.values()))):,} pictures are the same, byte for byte.",
            repair="Check how the files were written.",
        )
    for digest, rows in rows_of.items():
        if digest in known:
            batch, word = known[digest]
            for row in rows:
                is_other = bool(word and words[row] and words[row] != word)
                differs = f", labelled '{word}' and not '{words[row]}'" if is_other else ""
                check.reasons[row] = f"the same picture is in batch '{batch}' already{differs}"
        else:
            check.reasons |= _repeats(rows, words, lines)


def _repeats(rows: list[int], words: list[str], lines: np.ndarray) -> dict[int, str]:
    """Position -> reason among rows of one picture; the first with a label stays, unless labels contradict."""
    told = sorted({words[row] for row in rows} - {""})
    if len(told) > 1:
        return dict.fromkeys(rows, f"the same picture is labelled {' and '.join(map(repr, told))}")
    stays = next((row for row in rows if words[row]), rows[0])
    return {row: f"byte-identical to the picture in row {lines[stays]}" for row in rows if row != stays}
