"""A zip or tar archive of pictures unpacked into a temporary folder, without a way out of it."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

from core.errors import BadInputError

MAX_UNPACKED_BYTES = 50 * 1024**3
MAX_FILES = 5_000_000
COPY_BYTES = 1024 * 1024
REPAIR = "Unpack it yourself, look at what it holds, and import the folder."


@contextmanager
def unpacked(path: Path, *, max_bytes: int = MAX_UNPACKED_BYTES, max_files: int = MAX_FILES) -> Iterator[Path]:
    """The path itself, or the folder of an archive's files, which is gone afterwards.

    Raises:
        BadInputError: the archive is damaged, encrypted, too large, or holds a path or link out of its folder.
    """
    is_zip = path.is_file() and zipfile.is_zipfile(path)
    if not is_zip and not (path.is_file() and path.suffix.lower() != ".csv" and tarfile.is_tarfile(path)):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="crossdomain_pictures_") as name:
        folder = Path(name)
        try:
            (_unpack_zip if is_zip else _unpack_tar)(path, folder, max_bytes, max_files)
        except (zipfile.BadZipFile, tarfile.TarError, RuntimeError, NotImplementedError, EOFError, zlib.error) as error:
            raise BadInputError(f"{path.name} cannot be unpacked safely: {error}.", repair=REPAIR) from None
        yield _without_wrapping(folder)


def _unpack_zip(path: Path, folder: Path, max_bytes: int, max_files: int) -> None:
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        _check_members(path, [(member.filename, member.file_size) for member in members], folder, max_bytes, max_files)
        left = max_bytes
        for member in members:
            target = folder / member.filename.replace("\\", "/")
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, target.open("wb") as file:
                while piece := source.read(COPY_BYTES):  # a header may lie about the size
                    left -= len(piece)
                    if left < 0:
                        raise BadInputError(f"{path.name} is larger than it says.", repair=REPAIR)
                    file.write(piece)


def _unpack_tar(path: Path, folder: Path, max_bytes: int, max_files: int) -> None:
    with tarfile.open(path) as archive:
        members = archive.getmembers()
        _check_members(path, [(member.name, member.size) for member in members], folder, max_bytes, max_files)
        odd = [member.name for member in members if not (member.isfile() or member.isdir())]
        if odd:
            raise BadInputError(f"{path.name} holds a link or device ({odd[0]}).", repair=REPAIR)
        archive.extractall(folder, members=members, filter="data")


def _check_members(path: Path, members: list[tuple[str, int]], folder: Path, max_bytes: int, max_files: int) -> None:
    """Raise BadInputError for a name that leaves the folder, too many files, or more bytes than there is room for."""
    if len(members) > max_files:
        raise BadInputError(f"{path.name} holds {len(members):,} files; {max_files:,} are allowed here.", repair=REPAIR)
    for name, _ in members:
        posix, windows = PurePosixPath(name.replace("\\", "/")), PureWindowsPath(name)
        if posix.is_absolute() or windows.drive or ".." in posix.parts:
            raise BadInputError(f"{path.name} holds a path out of its folder ('{name}').", repair=REPAIR)
    total = sum(size for _, size in members)
    allowed = min(max_bytes, shutil.disk_usage(folder).free)
    if total > allowed:
        raise BadInputError(
            f"{path.name} unpacks to {total / 1e9:.1f} GB; {allowed / 1e9:.1f} GB are allowed here.", repair=REPAIR
        )


def _without_wrapping(folder: Path) -> Path:
    """The only folder inside, where an archive wraps all of its files in one."""
    inside = [path for path in folder.iterdir() if path.name not in {"__MACOSX", ".DS_Store"}]
    has_table = any(path.is_file() for path in inside)
    return inside[0] if len(inside) == 1 and not has_table else folder
