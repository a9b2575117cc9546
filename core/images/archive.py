"""`images/<batch>.parquet`: the raw bytes of a batch's pictures and masks, unchanged, in groups of bounded size."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core.artifacts import replacing_file
from core.errors import MissingArtifactError, VerificationError, did_you_mean

GROUP_BYTES = 32 * 1024 * 1024  # of one row group; a larger picture has a group of its own
GROUP_FILES = 1024
SCHEMA = pa.schema([("file", pa.string()), ("sha256", pa.string()), ("bytes", pa.large_binary())])


@dataclass(frozen=True)
class ArchivedFile:
    """One file: `file` is the text of the table's cell (`<batch>/<path>`), raw its bytes."""

    file: str
    sha256: str
    raw: bytes


def archive_path(folder: Path, batch: str) -> Path:
    """The Parquet file of a batch's pictures inside a domain's folder."""
    return Path(folder) / "images" / f"{batch}.parquet"


def write_archive(path: Path, files: Iterable[tuple[str, bytes]], *, group_bytes: int = GROUP_BYTES) -> None:
    """Write (file, bytes) pairs, one row group in memory at a time; the archive appears complete or not at all."""
    # Pictures are compressed already, and dictionary pages or statistics of their bytes would only cost.
    with (
        replacing_file(path) as temporary,
        pq.ParquetWriter(temporary, SCHEMA, compression="none", use_dictionary=False, write_statistics=["file"]) as to,
    ):
        for group in _groups(files, group_bytes):
            names, contents = zip(*group, strict=True)
            digests = [hashlib.sha256(raw).hexdigest() for raw in contents]
            to.write_table(pa.table([names, digests, contents], schema=SCHEMA), row_group_size=len(names))


def _groups(files: Iterable[tuple[str, bytes]], group_bytes: int) -> Iterator[list[tuple[str, bytes]]]:
    group, size = [], 0
    for name, raw in files:
        if group and (size + len(raw) > group_bytes or len(group) >= GROUP_FILES):
            yield group
            group, size = [], 0
        group.append((name, raw))
        size += len(raw)
    if group:
        yield group


def read_index(path: Path) -> pd.DataFrame:
    """Columns file, sha256 and row_group, in the archive's order, without reading the bytes.

    Raises:
        MissingArtifactError: there is no archive.
    """
    with _open(path) as archive:
        parts = [
            archive.read_row_group(group, columns=["file", "sha256"]).to_pandas().assign(row_group=group)
            for group in range(archive.num_row_groups)
        ]
    empty = pd.DataFrame({"file": [], "sha256": [], "row_group": []})
    return pd.concat(parts, ignore_index=True) if parts else empty


def iterate_archive(path: Path, wanted: Collection[str] | None = None) -> Iterator[ArchivedFile]:
    """The files in the archive's order, each after its SHA-256 matched.

    Of `wanted` only those that this archive has: a domain has an archive a batch. Only row groups that hold a wanted
    file are read, one at a time.

    Raises:
        MissingArtifactError: there is no archive.
        VerificationError: the bytes are not those that were taken in.
    """
    chosen = None if wanted is None else set(wanted)
    with _open(path) as archive:
        for group in range(archive.num_row_groups):
            if chosen is not None:
                names = archive.read_row_group(group, columns=["file"]).column("file").to_pylist()
                if chosen.isdisjoint(names):
                    continue
            for row in archive.read_row_group(group).to_batches(max_chunksize=1):
                file = row.column(0)[0].as_py()
                if chosen is None or file in chosen:
                    yield _verified(Path(path), file, row.column(1)[0].as_py(), row.column(2)[0].as_py())


def read_file(path: Path, file: str) -> bytes:
    """The bytes of one file.

    Raises:
        MissingArtifactError: the archive or the file is not there; the nearest is named.
        VerificationError: the bytes are not those that were taken in.
    """
    index = read_index(path)
    if file not in set(index["file"]):
        raise MissingArtifactError(
            f"There is no '{file}' in {Path(path).name}.", repair=did_you_mean(file, index["file"])
        )
    return next(iterate_archive(path, [file])).raw


def _open(path: Path) -> pq.ParquetFile:
    path = Path(path)
    if not path.exists():
        raise MissingArtifactError(f"{path} is missing.", repair="Run `crossdomain fetch` or `crossdomain import`.")
    try:
        return pq.ParquetFile(path, memory_map=True)
    except pa.ArrowInvalid as error:
        raise VerificationError(f"{path.name} is no archive of pictures ({error}).", repair="Import again.") from None


def _verified(path: Path, file: str, sha256: str, raw: bytes) -> ArchivedFile:
    if hashlib.sha256(raw).hexdigest() != sha256:
        raise VerificationError(
            f"{file} in {path.name} is not what was taken in (SHA-256 {sha256[:16]}…).", repair="Import it again."
        )
    return ArchivedFile(file, sha256, raw)
