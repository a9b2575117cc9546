"""Features of a frozen backbone, kept on disk: each item is computed once for a set of weights and a transform."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.artifacts import replacing_file

DEFAULT_MAX_BYTES = 4 << 30
DIGEST_CHARACTERS = 32  # 128 bits: no two of a billion items share a key


def cache_root() -> Path:
    """`CROSSDOMAIN_CACHE`, or `crossdomain` in the platform's folder for a user's caches."""
    told = os.environ.get("CROSSDOMAIN_CACHE", "").strip()
    if told:
        return Path(told).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "crossdomain"


@dataclass
class FeatureCache:
    """Rows of features under `root/features/<weights and transform>/`, in segment files that are only ever added.

    A segment is written beside and renamed, so two processes can share a cache: at worst both compute the same rows.
    Above `max_bytes` the segments used longest ago go first (by modification time, which a use refreshes).
    Calls that miss fewer than `min_rows` rows write nothing, so that scoring single cases leaves no files.
    """

    root: Path = field(default_factory=cache_root)
    max_bytes: int = DEFAULT_MAX_BYTES
    min_rows: int = 64
    _segments: dict[Path, np.ndarray] = field(default_factory=dict, init=False, repr=False)

    def get(
        self,
        weights_id: str,
        transform: str,
        items: Sequence[str | bytes],
        compute: Callable[[list[str | bytes]], np.ndarray],
    ) -> np.ndarray:
        """(N, D) float32 features of the items; `compute` is called once with the distinct items not known yet.

        weights_id: SHA-256 of the weights. transform: all else that decides the features (pooling, length, size).
        """
        folder = self._folder(weights_id, transform)
        digests = np.array([_digest(item) for item in items], dtype=f"S{DIGEST_CHARACTERS}")
        if not len(digests):
            return np.asarray(compute([]), dtype=np.float32)
        distinct, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
        found = self._read(folder, distinct)
        missing = np.flatnonzero([row is None for row in found])
        if len(missing):
            missing = missing[np.argsort(first[missing])]  # in the order of the items, as without a cache
            computed = np.asarray(compute([items[first[row]] for row in missing]), dtype=np.float32)
            for row, features in zip(missing, computed, strict=True):
                found[row] = features
            if len(missing) >= self.min_rows:
                self._write(folder, distinct[missing], computed)
        return np.stack(found)[inverse]

    def clear(self) -> None:
        """Remove every cached feature."""
        shutil.rmtree(self.root / "features", ignore_errors=True)
        self._segments.clear()

    def size_bytes(self) -> int:
        """Bytes on disk."""
        return sum(size for _, size, _ in self._files())

    def _folder(self, weights_id: str, transform: str) -> Path:
        """Where the segments of one set of weights and one transform lie."""
        key = hashlib.sha256(f"{weights_id}\n{transform}".encode()).hexdigest()
        return self.root / "features" / key[:DIGEST_CHARACTERS]

    def _read(self, folder: Path, digests: np.ndarray) -> list[np.ndarray | None]:
        """The features of sorted distinct digests; None where no segment has them."""
        found: list[np.ndarray | None] = [None] * len(digests)
        for path in sorted(folder.glob("[!.]*.npy")):
            try:
                if path not in self._segments:
                    opened = np.load(path, mmap_mode="r", allow_pickle=False)
                    self._segments[path] = np.ascontiguousarray(opened["digest"])
                known = self._segments[path]
                places = np.minimum(np.searchsorted(known, digests), len(known) - 1)
                hits = [row for row in np.flatnonzero(known[places] == digests) if found[row] is None]
                if not hits:
                    continue
                features = np.load(path, mmap_mode="r", allow_pickle=False)["features"][places[hits]]
                os.utime(path)
            except (OSError, ValueError, IndexError):
                self._segments.pop(path, None)  # another process has evicted it, or it was cut short
                continue
            for row, values in zip(hits, features, strict=True):
                found[row] = values
        return found

    def _write(self, folder: Path, digests: np.ndarray, features: np.ndarray) -> None:
        """One more segment, sorted by digest; a disk that is full or read-only costs time, not the run."""
        order = np.argsort(digests)
        name = hashlib.sha256(digests[order].tobytes()).hexdigest()[:DIGEST_CHARACTERS]
        try:
            segment = np.empty(
                len(order), dtype=[("digest", digests.dtype), ("features", np.float32, features.shape[1:])]
            )
            segment["digest"], segment["features"] = digests[order], features[order]
            with replacing_file(folder / f"{name}.npy") as temporary, temporary.open("wb") as file:
                np.save(file, segment, allow_pickle=False)
            self._evict()
        except OSError:
            return

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
        for path in (self.root / "features").glob("*/[!.]*.npy"):
            try:
                state = path.stat()
            except FileNotFoundError:
                continue
            found.append((state.st_mtime_ns, state.st_size, path))
        return found


def _digest(item: str | bytes) -> str:
    """Key of one item's content."""
    raw = item.encode("utf-8", errors="surrogatepass") if isinstance(item, str) else item
    return hashlib.sha256(raw).hexdigest()[:DIGEST_CHARACTERS]
