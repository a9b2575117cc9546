"""Files and folders that are whole after a kill or a loss of power: written beside, on the disk, then renamed.

The one beside has a fixed name, as writers hold the registry's lock: what a killed one left is written over.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_json_durably(path: Path, value: Any) -> None:
    """Sorted keys, an indent of 2 and a final newline; the file is the old one or the new one, never a part."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(path)
    with beside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    _sync_folder(path.parent)


@contextmanager
def placing_folder(path: Path) -> Iterator[Path]:
    """Yields an empty folder beside `path` that takes its place on success; what was at `path` goes just before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(path)
    _remove(beside)
    beside.mkdir()
    try:
        yield beside
        _remove(path)
        beside.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def copy_durably(source: Path, destination: Path) -> None:
    """A file's content, on the disk before this returns; a link is followed."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, destination)
    with destination.open("rb+") as file:
        os.fsync(file.fileno())


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _remove(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
    else:
        folder.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Put a rename on the disk; Windows does so by itself and opens no folder."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
