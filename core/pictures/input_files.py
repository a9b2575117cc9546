"""What `predict` is given: a folder, a glob pattern, one file or an archive, as named files in a fixed order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.errors import BadInputError, MissingArtifactError
from core.images.unpacking import unpacked

PICTURE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jfif", ".mpo", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".pbm", ".pnm"}
)
MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class InputFiles:
    """files: (name in the output, path). notes: what was left out, for a person."""

    files: tuple[tuple[str, Path], ...]
    notes: tuple[str, ...] = ()


@contextmanager
def input_files(
    input_path: Path, *, leave_out: Sequence[Path] = (), more_suffixes: frozenset[str] = frozenset()
) -> Iterator[InputFiles]:
    """The files of INPUT; those of an archive are gone afterwards. leave_out: folders that are never
    read (old maps). more_suffixes: endings that are read beside PICTURE_SUFFIXES; with the empty one, files without.

    A folder is read with all below it; hidden files and endings of no picture are left out and counted. A pattern's
    matches and a single file are taken whatever they are called.

    Raises:
        MissingArtifactError: there is no such file or folder.
        BadInputError: nothing matches, or an archive is not safe.
    """
    input_path = Path(input_path)
    if not input_path.exists():
        if not MAGIC.search(str(input_path)):
            raise MissingArtifactError(
                f"{input_path} is missing.", repair="Give a folder, a pattern in quotes, a picture, a zip or a tar."
            )
        yield _matches(str(input_path), leave_out)
        return
    with unpacked(input_path) as found:
        suffixes = PICTURE_SUFFIXES | more_suffixes
        yield _below(found, input_path, leave_out, suffixes) if found.is_dir() else InputFiles(((found.name, found),))


def _matches(pattern: str, leave_out: Sequence[Path]) -> InputFiles:
    """The files of a pattern; `**` goes into folders. Names begin after the pattern's fixed folders."""
    parts = Path(pattern).parts
    first = next(place for place, part in enumerate(parts) if MAGIC.search(part))
    fixed = Path(*parts[:first])
    paths = list(fixed.glob("/".join(parts[first:])))
    paths = [path for path in paths if path.is_file() and not _is_inside(path, leave_out)]
    if not paths:
        raise BadInputError(f"No file matches '{pattern}'.", repair="Put the pattern in quotes, or give the folder.")
    return InputFiles(tuple((path.relative_to(fixed).as_posix(), path) for path in sorted(paths, key=_natural)))


def _below(folder: Path, told: Path, leave_out: Sequence[Path], suffixes: frozenset[str]) -> InputFiles:
    """Pictures below a folder."""
    paths, num_others = [], 0
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        if not path.is_file() or _is_inside(path, leave_out) or "__MACOSX" in relative.parts:
            continue
        if any(part.startswith(".") for part in relative.parts) or path.suffix.lower() not in suffixes:
            num_others += 1
            continue
        paths.append(path)
    if not paths:
        raise BadInputError(
            f"{told} holds no pictures ({num_others} other files).",
            repair=f"Pictures end with {', '.join(sorted(filter(None, suffixes)))}.",
        )
    notes = (f"{num_others:,} files that are no pictures by their ending were left out",) if num_others else ()
    named = ((path.relative_to(folder).as_posix(), path) for path in sorted(paths, key=_natural))
    return InputFiles(tuple(named), notes)


def _is_inside(path: Path, folders: Sequence[Path]) -> bool:
    return any(path.resolve().is_relative_to(folder.resolve()) for folder in folders)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """A key by which part 2 comes before part 10."""
    pieces = re.findall(r"\d+|\D+", path.as_posix())
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces]
