"""Logistic regression in a Gaussian kernel, by random Fourier features: smooth interactions of all columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field
from pydantic.dataclasses import dataclass
from safetensors.numpy import load_file, save_file

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.learners.base import LEARNERS
from core.learners.binary_table import BinaryTableLearner, check_binary
from core.learners.centred_ridge import fit_centred_ridge
from core.learners.table_encoding import LinearEncoding
from core.params import STRICT
from core.threads import matrix_threads_for

ENCODED_ROWS = 20_000  # encoded at once
BLOCK_ROWS = 2048  # the waves of a block stay in the processor's cache
# A record alone gets, to the last bit, what it gets within a file: smaller products are summed in another order.
MIN_BLOCK_ROWS = 256
RARE_SPREAD = 0.2  # added to each column's deviation, so that a rare category does not outweigh all else
LOSS_TOLERANCE = 1e-9  # single precision has no more to gain


@dataclass(frozen=True, config=STRICT)
class KernelLogisticOptions:
    """num_waves: random directions; more come closer to the kernel. width: kernel exponent at the mean squared distance
    of two rows (larger: more local). strength: L2 penalty. numbers, ordered, min_count: the table's encoding.
    max_rows: a larger training set is thinned to so many rows, each class by the same fraction.
    """

    num_waves: int = Field(default=1000, ge=10)
    width: float = Field(default=1.5, gt=0)
    strength: float = Field(default=0.5, gt=0)
    numbers: Literal["standard", "quantile", "spline"] = "standard"
    ordered: Literal["codes", "one_hot"] = "one_hot"
    min_count: float = Field(default=5.0, ge=0)
    max_rows: int = Field(default=8_000, ge=100)


@LEARNERS.register("kernel_logistic")
class KernelLogistic(BinaryTableLearner):
    """Fitted state: `encoding_`, `intercept_`, `arrays_` (scales, typical: (P,); directions; amplitudes, phases: (K,)).

    log-odds = b + sum_k a_k cos(d_k . x - p_k), x the scaled row, d_k ~ N(0, 2 gamma I). It is fitted as a logistic
    regression on cos(d_k . x) / sqrt(K) and sin(d_k . x) / sqrt(K), whose product over two rows approximates the kernel
    exp(-gamma |x - x'|^2). No training row is kept. Waves are computed in single precision.

    Source: Rahimi & Recht 2007, "Random features for large-scale kernel machines", theorem 1; Yu et al. 2016,
    "Orthogonal random features", section 3 (the directions).
    """

    Options = KernelLogisticOptions

    def fit(self, train: Samples, valid: Samples | None = None) -> Self:
        """Fit on the labelled rows; `valid` is not read.

        Raises:
            BadParamsError: no labelled row, or not two classes.
        """
        labelled = check_binary(train)
        random = np.random.default_rng(self.seed)
        labelled = _thin(labelled, self.options.max_rows, random)
        self.encoding_ = LinearEncoding.fit(
            labelled,
            numbers=self.options.numbers,
            ordered=self.options.ordered,
            min_count=self.options.min_count,
        )
        design = self.encoding_.transform(labelled)
        mean = np.average(design, axis=0, weights=labelled.weights)
        spread = np.sqrt(np.average((design - mean) ** 2, axis=0, weights=labelled.weights))
        scales = 1.0 / (spread + RARE_SPREAD)
        mean_squared_distance = 2.0 * float(np.sum((spread * scales) ** 2)) or 1.0
        gamma = self.options.width / mean_squared_distance
        directions = _orthogonal_directions(design.shape[1], self.options.num_waves, random) * np.sqrt(2.0 * gamma)
        self.arrays_ = {
            "scales": scales.astype(np.float32),
            "directions": directions.astype(np.float32),
            "typical": (mean * scales).astype(np.float32),
        }
        coefficients = fit_centred_ridge(
            self._waves(design),
            labelled.targets,
            labelled.weights,
            self.options.strength,
            loss_tolerance=LOSS_TOLERANCE,
        )
        cosines, sines = np.split(coefficients[1:] / np.sqrt(self.options.num_waves), 2)
        self.intercept_ = float(coefficients[0])
        self.arrays_["amplitudes"] = np.hypot(cosines, sines).astype(np.float32)
        self.arrays_["phases"] = np.arctan2(sines, cosines).astype(np.float32)
        return self

    def predict_logits(self, samples: Samples) -> np.ndarray:
        """(N,) log-odds of class 1, computed in blocks of rows."""
        logits = np.empty(len(samples))
        for rows, scaled in self._scaled_blocks(samples):
            waves = scaled @ self.arrays_["directions"]
            waves -= self.arrays_["phases"]
            np.cos(waves, out=waves)
            waves *= self.arrays_["amplitudes"]
            logits[rows] = waves.sum(axis=1)[: rows.stop - rows.start]
        return self.intercept_ + logits

    def contributions(self, samples: Samples) -> pd.DataFrame:
        """(N, F) integrated gradients along the straight line from the typical row t (training mean) to the row x.

        c_j = (x_j - t_j) sum_k a_k d_jk (cos(u_k + v_k) - cos u_k) / v_k with u = d . t - p and v = d . (x - t), in
        closed form: the quotient is -sin(u + v / 2) sin(v / 2) / (v / 2). They sum to the log-odds less those of the
        typical row.

        Source: Sundararajan, Taly & Yan 2017, "Axiomatic attribution for deep networks", equation 1, proposition 1.
        """
        directions, typical = self.arrays_["directions"], self.arrays_["typical"]
        start = typical @ directions - self.arrays_["phases"]
        values = np.empty((len(samples), len(typical)))
        for rows, scaled in self._scaled_blocks(samples):
            distance = scaled - typical
            half = distance @ directions
            half *= 0.5
            half[half == 0] = 1e-20  # the limit of sin(h) / h is 1
            slopes = np.sin(half + start)
            slopes *= np.sin(half)
            slopes /= half
            slopes *= -self.arrays_["amplitudes"]
            values[rows] = (distance * (slopes @ directions.T))[: rows.stop - rows.start]
        return self.encoding_.sum_by_owner(values)

    def save_state(self, folder: Path) -> None:
        """Write kernel_logistic.json and kernel_logistic.safetensors."""
        write_json(
            folder / "kernel_logistic.json", {"encoding": self.encoding_.to_dict(), "intercept": self.intercept_}
        )
        save_file(
            {name: np.ascontiguousarray(values) for name, values in self.arrays_.items()},
            folder / "kernel_logistic.safetensors",
        )

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote."""
        state = read_json(folder / "kernel_logistic.json")
        self.encoding_, self.intercept_ = LinearEncoding.from_dict(state["encoding"]), float(state["intercept"])
        self.arrays_ = load_file(folder / "kernel_logistic.safetensors")

    def _waves(self, design: np.ndarray) -> np.ndarray:
        """(N, 2 K) random Fourier features: cosines, then sines."""
        angles = (design * self.arrays_["scales"]).astype(np.float32) @ self.arrays_["directions"]
        num_waves = angles.shape[1]
        waves = np.empty((len(design), 2 * num_waves), dtype=np.float32)
        np.cos(angles, out=waves[:, :num_waves])
        np.sin(angles, out=waves[:, num_waves:])
        waves /= np.sqrt(np.float32(num_waves))
        return waves

    def _scaled_blocks(self, samples: Samples) -> Iterator[tuple[slice, np.ndarray]]:
        """(rows, their scaled design), a block after another; a small block ends with rows of zeros."""
        for start in range(0, len(samples), ENCODED_ROWS):
            part = samples.take(np.arange(start, min(start + ENCODED_ROWS, len(samples))))
            scaled = (self.encoding_.transform(part) * self.arrays_["scales"]).astype(np.float32)
            for first in range(0, len(part), BLOCK_ROWS):
                block = scaled[first : first + BLOCK_ROWS]
                rows = slice(start + first, start + first + len(block))
                if len(block) < MIN_BLOCK_ROWS:
                    block = np.pad(block, ((0, MIN_BLOCK_ROWS - len(block)), (0, 0)))
                with matrix_threads_for(len(samples)):
                    yield rows, block


def _thin(samples: Samples, max_rows: int, random: np.random.Generator) -> Samples:
    """At most about `max_rows` rows in their order, each class thinned by the same fraction."""
    if len(samples) <= max_rows:
        return samples
    kept = []
    for target in (0, 1):
        rows = np.flatnonzero(samples.targets == target)
        num_kept = max(1, round(len(rows) * max_rows / len(samples)))
        kept.append(random.choice(rows, num_kept, replace=False))
    return samples.take(np.sort(np.concatenate(kept)))


def _orthogonal_directions(num_columns: int, num_waves: int, random: np.random.Generator) -> np.ndarray:
    """(P, K) directions, each distributed as N(0, I), orthogonal within blocks of P: they cover the space evenly."""
    blocks = []
    for _ in range(-(-num_waves // num_columns)):
        rotation = np.linalg.qr(random.normal(size=(num_columns, num_columns)))[0]
        lengths = np.sqrt(random.chisquare(num_columns, size=num_columns))
        blocks.append(rotation * lengths)
    return np.hstack(blocks)[:, :num_waves]
