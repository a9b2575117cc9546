"""Bins of a scorecard column: where they lie, their weight of evidence, and which bin a value falls into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from core.learners.table_encoding import read_codes


@dataclass(frozen=True)
class Bin:
    """One bin and all that is told of it.

    kind: `range` (low <= value < high; None is infinite), `categories`, `special` (exactly these numbers),
    `missing`, or `unseen` (a category that training never met; always neutral: woe 0).
    count, event_rate: (weighted) training rows and their share of class 1. iv: this bin's information value.
    """

    kind: str
    low: float | None = None
    high: float | None = None
    values: tuple[str | float, ...] = ()
    count: float = 0.0
    event_rate: float = 0.0
    woe: float = 0.0
    iv: float = 0.0
    points: float = 0.0

    @property
    def label(self) -> str:
        """The bin in words."""
        if self.kind == "range":
            if self.low is None and self.high is None:
                return "any value"
            if self.low is None:
                return f"below {self.high:g}"
            return f"{self.low:g} or more" if self.high is None else f"{self.low:g} to below {self.high:g}"
        if self.kind in {"categories", "special"}:
            return ", ".join(str(value) for value in self.values)
        return self.kind


@dataclass(frozen=True)
class ColumnBins:
    """The bins of one column: ranges or categories first, then special values, missing, unseen."""

    name: str
    is_number: bool
    bins: tuple[Bin, ...]

    @property
    def iv(self) -> float:
        """Information value of the column."""
        return float(sum(part.iv for part in self.bins))

    @property
    def woe(self) -> np.ndarray:
        """(B,) weight of evidence of each bin."""
        return np.array([part.woe for part in self.bins])

    @property
    def points(self) -> np.ndarray:
        """(B,) points of each bin."""
        return np.array([part.points for part in self.bins])

    def with_points(self, points: np.ndarray) -> ColumnBins:
        """The same bins with these points."""
        scored = [replace(part, points=float(p)) for part, p in zip(self.bins, points, strict=True)]
        return replace(self, bins=tuple(scored))

    def assign(self, frame: pd.DataFrame) -> np.ndarray:
        """(N,) int: the bin of each row. NaN and None are missing; infinite numbers fall into the outer ranges."""
        return self._assign_numbers(frame) if self.is_number else self._assign_categories(frame)

    def _assign_numbers(self, frame: pd.DataFrame) -> np.ndarray:
        values = frame[self.name].to_numpy(dtype=float, na_value=np.nan)
        upper = [part.high for part in self.bins if part.kind == "range" and part.high is not None]
        positions = np.searchsorted(np.array(upper, dtype=float), values, side="right")
        for position, part in enumerate(self.bins):
            if part.kind == "special":
                positions[np.isin(values, np.array(part.values, dtype=float))] = position
            elif part.kind == "missing":
                positions[np.isnan(values)] = position
        return positions

    def _assign_categories(self, frame: pd.DataFrame) -> np.ndarray:
        known = [(value, at) for at, part in enumerate(self.bins) for value in part.values]
        kinds = [part.kind for part in self.bins]
        bin_of_code = np.array([at for _, at in known] + [kinds.index("missing"), kinds.index("unseen")])
        # read_codes gives -2 for missing and -1 for unseen: the last two entries
        return bin_of_code[read_codes(frame, self.name, [value for value, _ in known])]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ColumnBins:
        """Inverse of `to_dict`."""
        bins = tuple(Bin(**{**part, "values": tuple(part["values"])}) for part in values["bins"])
        return cls(values["name"], values["is_number"], bins)


def measure_bins(
    column: ColumnBins, frame: pd.DataFrame, targets: np.ndarray, weights: np.ndarray, smoothing: float
) -> ColumnBins:
    """Fill in count, event rate, weight of evidence and information value.

    woe_i = ln((g_i + a G / N) / G) - ln((b_i + a B / N) / B) with g_i good and b_i bad rows of the bin, G and B of
    all bins, N = G + B and a = `smoothing` rows of the average kind; iv_i = (g_i / G - b_i / B) woe_i.
    A bin without rows is neutral: woe 0.

    Source: Siddiqi 2006, Credit Risk Scorecards, chapter 6 (a = 0).
    """
    positions = column.assign(frame)
    num_bins = len(column.bins)
    bad = np.bincount(positions, weights=weights * targets, minlength=num_bins)
    good = np.bincount(positions, weights=weights * (1 - targets), minlength=num_bins)
    total_bad, total_good = bad.sum(), good.sum()
    total = total_bad + total_good
    floor = 1e-9  # without smoothing, a bin of one kind only still has a finite weight of evidence
    measured = []
    for position, part in enumerate(column.bins):
        count = float(good[position] + bad[position])
        if count <= 0 or part.kind == "unseen":
            measured.append(replace(part, count=count))
            continue
        good_share = max(good[position] + smoothing * total_good / total, floor) / total_good
        bad_share = max(bad[position] + smoothing * total_bad / total, floor) / total_bad
        woe = float(np.log(good_share) - np.log(bad_share))
        measured.append(
            replace(
                part,
                count=count,
                event_rate=float(bad[position] / count),
                woe=woe,
                iv=float((good[position] / total_good - bad[position] / total_bad) * woe),
            )
        )
    return replace(column, bins=tuple(measured))
