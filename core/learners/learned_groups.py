"""Whose labels a model was made of, so that nobody later measures it on what it was told."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

FILE = "learned_groups.parquet"


@dataclass(frozen=True)
class LearnedGroups:
    """digests: (G,) uint64, the first eight bytes of each group's SHA-256, rising. A name cannot be read back."""

    digests: np.ndarray

    @classmethod
    def of(cls, groups: Iterable[object]) -> LearnedGroups:
        """The groups (patients, borrowers, parts; sample ids where there are none) of rows of any split."""
        return cls(np.unique(_digests(pd.unique(pd.Series(list(groups), dtype=object)))))

    def __len__(self) -> int:
        return len(self.digests)

    def contains(self, groups: np.ndarray) -> np.ndarray:
        """(N,) bool for groups (N,)."""
        codes, names = pd.factorize(pd.Series(groups, dtype=object))
        return np.isin(_digests(names), self.digests)[codes] if len(names) else np.zeros(0, dtype=bool)

    def union(self, other: LearnedGroups) -> LearnedGroups:
        """The groups of both."""
        return LearnedGroups(np.union1d(self.digests, other.digests))

    def save(self, folder: Path) -> None:
        """Write one parquet file into the folder."""
        pd.DataFrame({"digest": self.digests}).to_parquet(folder / FILE, index=False)

    @classmethod
    def load(cls, folder: Path) -> LearnedGroups | None:
        """None where a model of an earlier version did not say."""
        path = folder / FILE
        return cls(pd.read_parquet(path)["digest"].to_numpy(dtype=np.uint64)) if path.exists() else None


def _digests(names: Iterable[object]) -> np.ndarray:
    """(G,) uint64."""
    told = [int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:8], "big") for name in names]
    return np.array(told, dtype=np.uint64)
