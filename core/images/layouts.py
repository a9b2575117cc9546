"""The ways in which people keep pictures on disk, each as one table of texts with a row a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from core.data.raw_table import RawTable, problem_frame, text_frame
from core.data.reading import read_raw_table
from core.data.typing_rows import check_columns
from core.errors import BadInputError, MissingArtifactError, did_you_mean

Layout = Literal["auto", "list", "classes", "mvtec", "flat"]
LAYOUTS = ("auto", "list", "classes", "mvtec", "flat")
PICTURE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".pgm", ".ppm", ".pnm"}
)
LIST_NAME = "labels.csv"
SPLIT_FOLDERS = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}
MASK_FOLDER = "ground_truth"
MASK_ENDINGS = ("_mask", "")
HELP = (
    "Give a folder with labels.csv (columns file, label), the CSV itself, a folder with one folder a class, or one "
    "with train/good, test/<defect> and ground_truth/."
)


@dataclass(frozen=True)
class Listing:
    """table: a row a picture, the column `file_column` being its path below `root`. layout: which one was found."""

    root: Path
    layout: str
    table: RawTable
    file_column: str = "file"


def find_pictures(path: Path, layout: Layout = "auto", *, file_column: str | None = None) -> Listing:
    """The pictures that a path holds.

    Raises:
        MissingArtifactError: there is no such path.
        BadInputError: the layout is unknown or not there, no picture is found, or the list lacks its file column.
    """
    path = Path(path)
    if layout not in LAYOUTS:
        raise BadInputError(f"Unknown layout '{layout}'.", repair=did_you_mean(layout, LAYOUTS))
    if not path.exists():
        raise MissingArtifactError(f"There is no {path}.", repair="Check the path.")
    found = _detect(path) if layout == "auto" else layout
    if found == "list":
        return _read_list(path, file_column)
    if not path.is_dir():
        raise BadInputError(f"{path.name} is no folder, so it has no layout '{found}'.", repair=HELP)
    if file_column is not None:
        raise BadInputError(f"--file {file_column} is given, but {path.name} has no {LIST_NAME}.", repair=HELP)
    listing = {"classes": _read_classes, "mvtec": _read_mvtec, "flat": _read_flat}[found](path)
    if not len(listing.table.frame):
        raise BadInputError(f"{path.name} holds no picture in the layout '{found}'.", repair=HELP)
    return listing


def pictures_below(folder: Path) -> tuple[list[Path], int]:
    """(files with a picture's ending below the folder, sorted; how many others); hidden ones are passed over."""
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith((".", "__MACOSX")) for part in path.relative_to(folder).parts)
    ]
    pictures = [path for path in files if path.suffix.lower() in PICTURE_SUFFIXES]
    return pictures, len(files) - len(pictures)


def _detect(path: Path) -> str:
    if path.is_file():
        if path.suffix.lower() in PICTURE_SUFFIXES:
            raise BadInputError(f"{path.name} is one picture.", repair=HELP)
        return "list"
    if (path / LIST_NAME).is_file():
        return "list"
    folders = [child for child in sorted(path.iterdir()) if child.is_dir() and not child.name.startswith(".")]
    if any(child.name in SPLIT_FOLDERS and any(inner.is_dir() for inner in child.iterdir()) for child in folders):
        return "mvtec"
    if any(pictures_below(child)[0] for child in folders):
        return "classes"
    if pictures_below(path)[0]:
        return "flat"
    raise BadInputError(f"{path.name} holds no pictures and no {LIST_NAME}.", repair=HELP)


def _read_list(path: Path, file_column: str | None) -> Listing:
    """A CSV (or another table) with paths relative to it."""
    file = path / LIST_NAME if path.is_dir() else path
    table = read_raw_table(file)
    column = file_column or "file"
    check_columns(table.frame.columns, [column], where=f"the list of pictures {file.name} (--file)")
    return Listing(file.parent, "list", table, column)


def _read_classes(root: Path) -> Listing:
    """`<class>/*.png`, the folder's name being the label."""
    rows, notes = [], []
    for folder in _folders(root):
        pictures, num_others = pictures_below(folder)
        rows += [(path.relative_to(root).as_posix(), folder.name) for path in pictures]
        notes += _others_note(folder.name, num_others)
    stray = [path for path in root.iterdir() if path.is_file() and path.suffix.lower() in PICTURE_SUFFIXES]
    if stray:
        notes.append(f"{len(stray):,} pictures outside of the class folders were passed over, such as {stray[0].name}.")
    return Listing(root, "classes", _table(("file", "label"), rows, notes))


def _read_mvtec(root: Path) -> Listing:
    """`<split>/<class>/*.png`, with masks at `ground_truth/<class>/<name>_mask.png`."""
    rows, notes = [], []
    for split in _folders(root):
        if split.name not in SPLIT_FOLDERS:
            if split.name != MASK_FOLDER:
                notes.append(f"The folder '{split.name}' is no split and was passed over.")
            continue
        for folder in _folders(split):
            pictures, num_others = pictures_below(folder)
            notes += _others_note(f"{split.name}/{folder.name}", num_others)
            masks = root / MASK_FOLDER / folder.name
            is_masked = split.name == "test" and masks.is_dir()
            for path in pictures:
                mask = _mask_of(path, masks) if is_masked else None
                name = None if mask is None else mask.relative_to(root).as_posix()
                rows.append((path.relative_to(root).as_posix(), folder.name, SPLIT_FOLDERS[split.name], name))
    return Listing(root, "mvtec", _table(("file", "label", "split", "mask"), rows, notes))


def _read_flat(root: Path) -> Listing:
    """Pictures without a label, in one folder."""
    pictures, num_others = pictures_below(root)
    rows = [(path.relative_to(root).as_posix(),) for path in pictures]
    return Listing(root, "flat", _table(("file",), rows, _others_note(root.name, num_others)))


def _mask_of(picture: Path, masks: Path) -> Path | None:
    for ending in MASK_ENDINGS:
        for suffix in (picture.suffix, ".png"):
            path = masks / f"{picture.stem}{ending}{suffix}"
            if path.is_file():
                return path
    return None


def _folders(root: Path) -> list[Path]:
    return [path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith((".", "__MACOSX"))]


def _others_note(name: str, num_others: int) -> list[str]:
    return [f"{num_others:,} files of '{name}' without a picture's ending were passed over."] if num_others else []


def _table(columns: Sequence[str], rows: Sequence[Sequence[str | None]], notes: Sequence[str]) -> RawTable:
    return RawTable(text_frame(columns, rows), problem_frame([]), tuple(notes), np.arange(1, len(rows) + 1))
