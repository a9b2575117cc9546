"""Logistic regression in a Gaussian kernel, by random Fourier features: smooth interactions of all columns."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import numpy as np
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

CHUNK_ROWS = 20_000
RARE_SPREAD = 0.2  # added to each column's deviation, so that a rare category does not outweigh all else


@dataclass(frozen=True, config=STRICT)
class KernelLogisticOptions:
    """num_waves: random directions; more come closer to the kernel. width: kernel exponent at the mean squared distance
    of two rows (larger: more local). strength: L2 penalty. numbers, ordered, min_count: the table's encoding.
    max_rows: a larger training set is thinned to so many rows.
    """

    num_waves: int = Field(default=1000, ge=10)
    width: float = Field(default=1.5, gt=0)
    strength: float = Field(default=0.5, gt=0)
    numbers: Literal["standard", "quantile", "spline"] = "standard"
    ordered: Literal["codes", "one_hot"] = "one_hot"
    min_count: float = Field(default=5.0, ge=0)
    max_rows: int = Field(default=20_000, ge=100)


@LEARNERS.register("kernel_logistic")
class KernelLogistic(BinaryTableLearner):
    """Fitted state: `encoding_` and `arrays_` (scales, directions, coefficients).

    log-odds = b + sum_k (v_k cos(d_k . x) + w_k sin(d_k . x)) / sqrt(K), d_k ~ N(0, 2 gamma I): the features' product
    approximates the kernel exp(-gamma |x - x'|^2). No training row is kept.

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
        if len(labelled) > self.options.max_rows:
            labelled = labelled.take(np.sort(random.choice(len(labelled), self.options.max_rows, replace=False)))
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
        self.arrays_ = {
            "scales": scales,
            "directions": _orthogonal_directions(design.shape[1], self.options.num_waves, random)
            * np.sqrt(2.0 * gamma),
        }
        self.arrays_["coefficients"] = fit_centred_ridge(
            self._waves(design), labelled.targets, labelled.weights, self.options.strength
        )
        return self

    def predict_logits(self, samples: Samples) -> np.ndarray:
        """(N,) log-odds of class 1, computed in chunks of rows."""
        coefficients = self.arrays_["coefficients"]
        logits = np.empty(len(samples))
        for start in range(0, len(samples), CHUNK_ROWS):
            rows = np.arange(start, min(start + CHUNK_ROWS, len(samples)))
            waves = self._waves(self.encoding_.transform(samples.take(rows)))
            logits[rows] = coefficients[0] + waves @ coefficients[1:]
        return logits

    def save_state(self, folder: Path) -> None:
        """Write kernel_logistic.json and kernel_logistic.safetensors."""
        write_json(folder / "kernel_logistic.json", {"encoding": self.encoding_.to_dict()})
        save_file(
            {name: np.ascontiguousarray(values) for name, values in self.arrays_.items()},
            folder / "kernel_logistic.safetensors",
        )

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote."""
        self.encoding_ = LinearEncoding.from_dict(read_json(folder / "kernel_logistic.json")["encoding"])
        self.arrays_ = load_file(folder / "kernel_logistic.safetensors")

    def _waves(self, design: np.ndarray) -> np.ndarray:
        """(N, 2 K) random Fourier features: cosines, then sines."""
        angles = (design * self.arrays_["scales"]) @ self.arrays_["directions"]
        return np.hstack([np.cos(angles), np.sin(angles)]) / np.sqrt(angles.shape[1])


def _orthogonal_directions(num_columns: int, num_waves: int, random: np.random.Generator) -> np.ndarray:
    """(P, K) directions, each distributed as N(0, I), orthogonal within blocks of P: they cover the space evenly."""
    blocks = []
    for _ in range(-(-num_waves // num_columns)):
        rotation = np.linalg.qr(random.normal(size=(num_columns, num_columns)))[0]
        lengths = np.sqrt(random.chisquare(num_columns, size=num_columns))
        blocks.append(rotation * lengths)
    return np.hstack(blocks)[:, :num_waves]
