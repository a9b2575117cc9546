"""The target's prepared rows of every split with their delivery, and what a model says of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from core.artifacts import Artifacts
from core.data.manifest import REGRESSION, SLICE_PREFIX
from core.data.prepared import open_prepared, read_manifest
from core.data.samples import Samples, concatenate
from core.errors import CrossdomainError, VerificationError
from core.learners.descriptions import describer_of
from core.learners.scoring_model import ScoringModel
from core.lifecycle.monitor.snapshot import Snapshot
from core.params import VerticalParams
from core.vertical import Vertical

TARGET_SPLITS = ("train", "valid", "test", REGRESSION)
PICTURES_AT_ONCE = 256
NUM_TIMED_ROWS, NUM_TIMINGS = 200, 5


@dataclass(frozen=True)
class TargetRows:
    """samples: N rows of the target. manifest: their N rows (batch, split, slice columns), in the same order.

    positive_index: of the positive class; None where labels are numbers.
    """

    samples: Samples
    manifest: pd.DataFrame
    positive_index: int | None

    def take(self, rows: np.ndarray) -> TargetRows:
        """The rows of a mask (N,)."""
        return replace(self, samples=self.samples.take(rows), manifest=self.manifest[rows].reset_index(drop=True))

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def targets(self) -> np.ndarray:
        """(N,) float: 1 positive, 0 negative, or the number; NaN unknown."""
        labels = self.samples.labels
        if self.positive_index is None:
            return labels
        return np.where(np.isnan(labels), np.nan, (labels == self.positive_index).astype(float))

    @property
    def slices(self) -> pd.DataFrame:
        """(N, S) attributes that evaluation slices by."""
        names = [name for name in self.manifest if name.startswith(SLICE_PREFIX)]
        return self.manifest[names].rename(columns=lambda name: name.removeprefix(SLICE_PREFIX))


def open_target_rows(vertical: Vertical, params: VerticalParams, artifacts: Artifacts) -> TargetRows:
    """Every row of the target that prepare wrote, labels beyond the budget masked.

    Raises:
        MissingArtifactError: prepare has not run, or ran with other domains.
    """
    opened = open_prepared(vertical, params, artifacts, splits=TARGET_SPLITS)
    samples = concatenate([part for part in opened.values() if len(part)])
    manifest = read_manifest(artifacts).set_index("sample_id").loc[samples.sample_ids].reset_index()
    return TargetRows(samples, manifest, None if vertical.predicts_number else vertical.positive_index)


def fit_to(model: Any, samples: Samples) -> Samples:
    """The same rows in the model's own `schema`.

    Raises:
        VerificationError: a feature of the model is no column any more.
    """
    names = model.schema.names()
    lacking = [name for name in names if name not in samples.inputs.columns]
    if lacking:
        raise VerificationError(
            f"The model needs {', '.join(map(repr, lacking))}, which the prepared rows lack.",
            repair="Bring the column back in domain.yaml, or promote a model without it by hand.",
        )
    return samples.with_inputs(samples.inputs[names], model.schema)


def probability_of(model: ScoringModel, rows: TargetRows) -> np.ndarray:
    """(N,) calibrated probability of the positive class."""
    return model.predict_probability(fit_to(model, rows.samples))[:, model.positive_index]


def snapshot_of(model: ScoringModel, rows: TargetRows) -> Snapshot:
    """The rows as the monitor watches them: columns, embedding of pictures or texts, groups, probability and labels.

    A learner of pictures describes them itself; texts are embedded by the packaged encoder, whatever the learner.
    """
    samples = fit_to(model, rows.samples)
    columns = model.schema.names("number", "category")
    if model.schema.names("image"):
        describe = describer_of(model.learner)
        features = None if describe is None else _in_parts(describe, samples)
    else:
        features = embed_texts(samples) if model.schema.names("text") else None
    return Snapshot(
        inputs=samples.inputs[columns].reset_index(drop=True),
        features=features,
        group=samples.groups.astype(str),
        probability=model.predict_probability(samples)[:, model.positive_index],
        targets=rows.targets,
        threshold=float(model.threshold),
    )


def embed_texts(samples: Samples) -> np.ndarray | None:
    """(N, D) embeddings of the text columns joined; None where the encoder's weights are not on this machine."""
    from core.backbones.weights import resolve_weights  # tables without texts need none of this
    from core.learners.text_embeddings import TextEmbedder
    from core.learners.text_encoder import TextEncoder

    told = TextEncoder({}).options
    try:
        embedder = TextEmbedder(resolve_weights(told.backbone), max_length=told.max_length)
    except CrossdomainError:
        return None
    texts = samples.inputs[samples.schema.names("text")].fillna("").astype(str).agg(" ".join, axis=1)
    return embedder.embed([text.strip() for text in texts]).astype(float)


def latency_ratio(
    challenger: Any, champion: Any, rows: TargetRows, *, predict: Callable[[Any, Samples], Any]
) -> float | None:
    """Challenger's time of scoring the same rows / the champion's, the quickest of five each, in turn."""
    if not len(rows):
        return None
    timed = rows.take(np.arange(len(rows)) < NUM_TIMED_ROWS)
    quickest = {"challenger": np.inf, "champion": np.inf}
    for _ in range(NUM_TIMINGS):
        for name, model in (("challenger", challenger), ("champion", champion)):
            samples = fit_to(model, timed.samples)
            started = time.perf_counter()
            predict(model, samples)
            quickest[name] = min(quickest[name], time.perf_counter() - started)
    return float(quickest["challenger"] / max(quickest["champion"], 1e-9))


def _in_parts(describe: Any, samples: Samples) -> np.ndarray:
    """(N, P) descriptors, at most 256 pictures open at a time."""
    starts: Sequence[int] = range(0, len(samples), PICTURES_AT_ONCE)
    parts = [describe(samples.take(np.arange(start, min(start + PICTURES_AT_ONCE, len(samples))))) for start in starts]
    return np.concatenate([np.asarray(part, dtype=float) for part in parts])
