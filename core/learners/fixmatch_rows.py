"""Unlabelled pictures as rows to learn from: a confident guess of the picture as it is, asked of a strong copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from pydantic import Field
from pydantic.dataclasses import dataclass
from scipy.special import expit

from core.data.samples import Samples, concatenate
from core.images.image import Image, images_of
from core.params import STRICT


@dataclass(frozen=True, config=STRICT)
class FixMatchOptions:
    """threshold: of a guess's probability, from which on it is believed (tau). unlabelled_weight: lambda_u.

    num_strong: strong copies of a picture. max_pictures: at most so many unlabelled ones, so that a run on a
    processor ends. max_rounds: guesses are made anew so often, or until they stay. use_source_start: start from a
    source model also where the target has both classes labelled.
    """

    threshold: float = Field(default=0.95, ge=0.5, lt=1.0)
    unlabelled_weight: float = Field(default=1.0, ge=0.0)
    num_strong: int = Field(default=2, ge=1)
    max_pictures: int = Field(default=1000, ge=1)
    max_rounds: int = Field(default=5, ge=1)
    use_source_start: bool = False


def guess_labels(weak_logits: np.ndarray, threshold: float) -> np.ndarray:
    """(N,) 0 or 1 where the more probable class has at least `threshold`, else NaN.

    Shape: weak_logits (N,) log-odds of class 1.
    """
    probability = expit(weak_logits)
    is_sure = np.maximum(probability, 1.0 - probability) >= threshold
    return np.where(is_sure, (weak_logits >= 0).astype(float), np.nan)


def fixmatch_rows(
    labelled: Samples, strong: Sequence[Samples], guesses: np.ndarray, *, unlabelled_weight: float
) -> Samples:
    """Rows whose weighted log loss is W (l_s + lambda_u l_u), W the sum of the labelled rows' weights.

    l_s is the weighted mean log loss of the labelled rows; l_u the mean over all N unlabelled pictures and their
    strong copies of 1(sure) H(guess, prediction of the copy): who is not sure counts in N but has no row.

    Shape: strong holds N rows each, one Samples a copy; guesses (N,) of `guess_labels`.
    Source: Sohn et al. 2020, "FixMatch: simplifying semi-supervised learning with consistency and confidence",
    equations 3 and 4.
    """
    is_sure = ~np.isnan(guesses)
    share = float(labelled.weights.sum()) * unlabelled_weight / (len(guesses) * len(strong)) if len(guesses) else 0.0
    if not is_sure.any() or share == 0.0:
        return labelled
    parts = [copy.take(is_sure).with_labels(guesses[is_sure]) for copy in strong]
    return concatenate([labelled, *(part.with_weights(np.full(len(part), share)) for part in parts)])


def with_images(samples: Samples, images: Sequence[Image], mark: str) -> Samples:
    """The same rows, unlabelled, with other pictures and names that end in `mark`."""
    (name,) = samples.schema.names("image")
    inputs = samples.inputs.assign(**{name: pd.Series(list(images), dtype=object, index=samples.inputs.index)})
    names = np.array([f"{sample_id} {mark}" for sample_id in samples.sample_ids], dtype=object)
    return replace(samples.with_labels(np.full(len(samples), np.nan)), inputs=inputs, sample_ids=names)


def some_unlabelled(target: Samples, max_pictures: int) -> Samples:
    """The target's unlabelled rows that have a picture, at most so many; their digests decide which."""
    unlabelled = target.take(~target.is_labelled)
    images = images_of(unlabelled) if len(unlabelled) else []
    there = [row for row, image in enumerate(images) if image is not None]
    chosen = sorted(there, key=lambda row: (images[row].digest, str(unlabelled.sample_ids[row])))[:max_pictures]
    return unlabelled.take(np.sort(np.array(chosen, dtype=int)))
