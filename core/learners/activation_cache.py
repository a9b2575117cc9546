"""Activations of frozen stages, kept on disk as float16: a tail is trained without running the trunk again."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.artifacts import replacing_file
from core.data.feature_cache import cache_root

DEFAULT_MAX_BYTES = 8 << 30
SEGMENT_BYTES = 64 << 20
DIGEST_CHARACTERS = 32
LARGEST_HALF = 65504.0


class Activations:
    """(N, ...) activations of N items, in segments that may lie on disk; only the rows asked for are read."""

    def __init__(self, segments: Sequence[np.ndarray], segment_of: np.ndarray, row_of: np.ndarray) -> None:
        self._segments, self._segment_of, self._row_of = segments, segment_of, row_of

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, ...) as of an array."""
        return (len(self), *(self._segments[0]["activations"].shape[1:] if self._segments else ()))

    def __getitem__(self, rows: Sequence[int] | np.ndarray | slice) -> np.ndarray:
        """(n, ...) float32 activations of the rows by position, in the order given."""
        rows = np.arange(len(self))[rows]
        found = np.empty((len(rows), *self.shape[1:]), dtype=np.float32)
        for number in np.unique(self._segment_of[rows]):
            places = np.flatnonzero(self._segment_of[rows] == number)
            found[places] = self._segments[number]["activations"][self._row_of[rows[places]]]
        return found


@dataclass
class ActivationCache:
    """Segments under `root/activations/<weights and transform>/`, written beside and renamed, only ever added.

    Two processes can share it: at worst both compute the same rows. Above `max_bytes` the segments used longest ago go
    first; who has one open can still read it. Calls that miss fewer than `min_rows` rows write nothing.
    """

    root: Path = field(default_factory=cache_root)
    max_bytes: int = DEFAULT_MAX_BYTES
    min_rows: int = 64

    def get(
        self,
        weights_id: str,
        transform: str,
        digests: Sequence[str],
        compute: Callable[[list[int]], np.ndarray],
        *,
        batch_size: int = 32,
    ) -> Activations:
        """The activations of the items; `compute` is given positions of items not known yet, a batch at a time.

        weights_id: SHA-256 of the weights. transform: all else that decides the activations (cut, view, precision).
        """
        folder = self._folder(weights_id, transform)
        keys = np.array([_key(digest) for digest in digests], dtype=f"S{DIGEST_CHARACTERS}")
        distinct, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        segments: list[np.ndarray] = []
        segment_of, row_of = np.full(len(distinct), -1), np.zeros(len(distinct), dtype=int)

        def admit(segment: np.ndarray) -> None:
            known = segment["digest"]
            places = np.minimum(np.searchsorted(known, distinct), len(known) - 1)
            hits = (known[places] == distinct) & (segment_of < 0)
            if hits.any():
                segment_of[hits], row_of[hits] = len(segments), places[hits]
                segments.append(segment)

        for path in sorted(folder.glob("[!.]*.npy")):
            with contextlib.suppress(OSError, ValueError, IndexError):  # evicted meanwhile, or cut short
                num_before = len(segments)
                admit(np.load(path, mmap_mode="r", allow_pickle=False))
                if len(segments) > num_before:
                    os.utime(path)
        missing = np.sort(first[segment_of < 0])  # in the order of the items
        for rows, values in _computed(missing, compute, batch_size):
            admit(self._keep(folder, keys[rows], values, is_written=len(missing) >= self.min_rows))
        return Activations(segments, segment_of[inverse], row_of[inverse])

    def has_room(self, num_bytes: int) -> bool:
        """Whether so many bytes may be kept at all."""
        return num_bytes <= self.max_bytes

    def size_bytes(self) -> int:
        """Bytes on disk."""
        return sum(size for _, size, _ in self._files())

    def _folder(self, weights_id: str, transform: str) -> Path:
        """Where the segments of one set of weights and one transform lie."""
        key = hashlib.sha256(f"{weights_id}\n{transform}".encode()).hexdigest()
        return self.root / "activations" / key[:DIGEST_CHARACTERS]

    def _keep(self, folder: Path, keys: np.ndarray, values: np.ndarray, *, is_written: bool) -> np.ndarray:
        """A segment sorted by key, on disk where possible; a disk that is full or read-only costs memory only."""
        order = np.argsort(keys)
        segment = np.empty(len(order), dtype=[("digest", keys.dtype), ("activations", np.float16, values.shape[1:])])
        segment["digest"], segment["activations"] = keys[order], values[order]
        if not is_written:
            return segment
        path = folder / f"{hashlib.sha256(keys[order].tobytes()).hexdigest()[:DIGEST_CHARACTERS]}.npy"
        try:
            with replacing_file(path) as temporary, temporary.open("wb") as file:
                np.save(file, segment, allow_pickle=False)
            opened = np.load(path, mmap_mode="r", allow_pickle=False)
            self._evict()
            return opened
        except (OSError, ValueError):
            return segment

    def _evict(self) -> None:
        """Remove the segments used longest ago until the rest fits."""
        files = sorted(self._files())
        excess = sum(size for _, size, _ in files) - self.max_bytes
        for _, size, path in files:
            if excess <= 0:
                return
            with contextlib.suppress(OSError):
                path.unlink()
            excess -= size

    def _files(self) -> list[tuple[int, int, Path]]:
        """(modification time, bytes, path) of every segment that is there."""
        found = []
        for path in (self.root / "activations").glob("*/[!.]*.npy"):
            with contextlib.suppress(FileNotFoundError):
                state = path.stat()
                found.append((state.st_mtime_ns, state.st_size, path))
        return found


def clear_activations(root: Path | None = None) -> None:
    """Remove every kept activation."""
    shutil.rmtree((root or cache_root()) / "activations", ignore_errors=True)


def _computed(missing: np.ndarray, compute: Callable, batch_size: int):
    """(positions, float16 values) of the missing items, in parts of about SEGMENT_BYTES."""
    rows: list[np.ndarray] = []
    parts: list[np.ndarray] = []
    for start in range(0, len(missing), batch_size):
        rows.append(missing[start : start + batch_size])
        values = np.asarray(compute(rows[-1].tolist()), dtype=np.float32)
        parts.append(np.clip(values, -LARGEST_HALF, LARGEST_HALF).astype(np.float16))
        if sum(part.nbytes for part in parts) >= SEGMENT_BYTES or start + batch_size >= len(missing):
            yield np.concatenate(rows), np.concatenate(parts)
            rows, parts = [], []


def _key(digest: str) -> bytes:
    """A digest of fixed length."""
    return hashlib.sha256(digest.encode()).hexdigest()[:DIGEST_CHARACTERS].encode()
