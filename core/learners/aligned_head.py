"""A small head over given features: source cross-entropy and a weighted alignment with unlabelled target rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass as strict_dataclass

from core.errors import BadInputError
from core.learners.centred_ridge import fit_centred_ridge
from core.params import STRICT

if TYPE_CHECKING:
    from torch import Tensor

    from core.alignments.base import Alignment


@strict_dataclass(frozen=True, config=STRICT)
class AlignedHeadOptions:
    """hidden_size: of the one hidden layer; 0: a linear head, whose logits are the features that an alignment sees.

    alignment_weight: of the alignment against the cross-entropy. batch_size: rows of each domain in a step, as many of
    one as of the other. target_multiplier: what a labelled target row weighs in the cross-entropy.
    """

    hidden_size: int = Field(default=32, ge=0)
    alignment_weight: float = Field(default=0.3, ge=0.0)
    alignment_options: Mapping[str, Any] = Field(default_factory=dict)
    num_steps: int = Field(default=300, ge=1)
    batch_size: int = Field(default=128, ge=2)
    learning_rate: float = Field(default=3e-3, gt=0.0)
    weight_decay: float = Field(default=1e-2, ge=0.0)
    target_multiplier: float = Field(default=1.0, ge=0.0)


@dataclass(frozen=True)
class AlignedHead:
    """(N, D) features to log-odds: centred and scaled, one hidden layer of rectifiers or none, linear.

    Shape: centre and scale (D,); hidden_weights (D, K) and hidden_offsets (K,), both empty for a linear head;
    coefficients (K + 1,) or (D + 1,), the intercept first.
    """

    centre: np.ndarray
    scale: np.ndarray
    hidden_weights: np.ndarray
    hidden_offsets: np.ndarray
    coefficients: np.ndarray

    def predict_logits(self, features: np.ndarray) -> np.ndarray:
        """(N,) log-odds of class 1."""
        values = (features - self.centre) / self.scale
        if self.hidden_weights.size:
            values = np.maximum(values @ self.hidden_weights + self.hidden_offsets, 0.0)
        return self.coefficients[0] + values @ self.coefficients[1:]

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The fitted state by name."""
        return {name: np.ascontiguousarray(array) for name, array in vars(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> AlignedHead:
        """Inverse of `to_arrays`."""
        return cls(**{name: arrays[name] for name in cls.__dataclass_fields__})


def fit_ridge_head(
    source_features: np.ndarray,
    source_target_probability: np.ndarray,
    source_weights: np.ndarray,
    target_features: np.ndarray,
    strength: float,
    *,
    target_labels: np.ndarray | None = None,
    target_multiplier: float = 1.0,
) -> AlignedHead:
    """A linear head without alignment, by convex optimisation, on features as they are but centred.

    Arguments as of `train_aligned_head`; strength: L2 penalty of the summed loss.
    """
    labels = _checked_labels(source_target_probability, target_features, target_labels)
    is_known = ~np.isnan(labels)
    rows = np.concatenate([source_features, target_features[is_known]])
    targets = np.concatenate([source_target_probability, labels[is_known]])
    weights = np.concatenate([source_weights, np.full(is_known.sum(), target_multiplier)])
    centre, scale = _units(source_features, target_features)
    scale = np.ones_like(scale)
    coefficients = fit_centred_ridge(rows - centre, targets, weights, strength)
    return AlignedHead(centre, scale, np.zeros((0, 0)), np.zeros(0), coefficients)


def train_aligned_head(
    source_features: np.ndarray,
    source_target_probability: np.ndarray,
    source_weights: np.ndarray,
    target_features: np.ndarray,
    alignment: str,
    options: AlignedHeadOptions,
    seed: int,
    target_labels: np.ndarray | None = None,
) -> AlignedHead:
    """Adam on batches of as many source as target rows.

    Shape: source_features (N, D), source_target_probability (N,) of class 1, 0 to 1, source_weights (N,),
    target_features (M, D), target_labels (M,) as the source's, NaN where they may not be seen. alignment: a name of
    ALIGNMENTS. Rows are drawn by their weight; labelled target rows join the cross-entropy with target_multiplier
    against a source row's weight.

    Raises:
        BadInputError: one class only, or target labels of another length.
    """
    import torch

    from core.alignments import ALIGNMENTS

    labels = _checked_labels(source_target_probability, target_features, target_labels)
    centre, scale = _units(source_features, target_features)
    source, target = (
        torch.tensor((rows - centre) / scale, dtype=torch.float32) for rows in (source_features, target_features)
    )
    loss_of = ALIGNMENTS[alignment](options.alignment_options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        hidden, last = _make_layers(source.shape[1], options.hidden_size)
    loss_of.prepare(last.in_features if hidden else 2, 2, seed=seed + 1)
    known = np.flatnonzero(~np.isnan(labels))
    known_labels = torch.tensor(labels[known], dtype=torch.float32)
    source_labels = torch.tensor(source_target_probability, dtype=torch.float32)
    source_share = _source_share(source_weights, len(known), options.target_multiplier)
    step_of = _Step(hidden, last, loss_of, options.alignment_weight, source_share)
    parameters = [*last.parameters(), *loss_of.parameters(), *(hidden.parameters() if hidden else [])]
    optimizer = torch.optim.AdamW(parameters, lr=options.learning_rate, weight_decay=options.weight_decay)
    random = np.random.default_rng(seed)
    probability = source_weights / source_weights.sum()
    for step in range(options.num_steps):
        loss_of.set_progress(step / options.num_steps)
        source_rows = random.choice(len(source), options.batch_size, p=probability)
        target_rows = random.choice(len(target), options.batch_size)
        drawn = random.permutation(len(known))[: options.batch_size]
        optimizer.zero_grad()
        loss = step_of(
            source[source_rows], source_labels[source_rows], target[target_rows],
            target[known[drawn]], known_labels[drawn],
        )  # fmt: skip
        loss.backward()
        optimizer.step()
    return _to_head(centre, scale, hidden, last)


class _Step:
    """The loss of one step."""

    def __init__(self, hidden: Any, last: Any, loss_of: Alignment, weight: float, source_share: float) -> None:
        self.hidden, self.last = hidden, last
        self.loss_of, self.weight, self.source_share = loss_of, weight, source_share

    def _read(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Features and logits."""
        if self.hidden is None:
            logits = self.last(rows)
            return logits, logits
        features = self.hidden(rows).relu()
        return features, self.last(features)

    def __call__(
        self, source: Tensor, source_labels: Tensor, target: Tensor, known: Tensor, known_labels: Tensor
    ) -> Tensor:
        from core.alignments import AlignmentViews

        source_features, source_logits = self._read(source)
        target_features, target_logits = self._read(target)
        hard_labels = (source_labels >= 0.5).long()
        views = AlignmentViews(source_features, target_features, source_logits, target_logits, hard_labels)
        loss = self.source_share * _cross_entropy(source_logits, source_labels) + self.weight * self.loss_of(views)
        if len(known):
            loss = loss + (1.0 - self.source_share) * _cross_entropy(self._read(known)[1], known_labels)
        return loss


def _cross_entropy(logits: Tensor, probability: Tensor) -> Tensor:
    """Mean cross-entropy of two-class logits with graded labels."""
    from torch.nn.functional import binary_cross_entropy_with_logits

    return binary_cross_entropy_with_logits(logits[:, 1] - logits[:, 0], probability)


def _make_layers(num_features: int, hidden_size: int) -> tuple[Any, Any]:
    """The hidden layer, or None, and the last one; it starts at zero, so that no class is favoured."""
    from torch import nn

    hidden = nn.Linear(num_features, hidden_size) if hidden_size else None
    last = nn.Linear(hidden_size or num_features, 2)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)
    return hidden, last


def _to_head(centre: np.ndarray, scale: np.ndarray, hidden: Any, last: Any) -> AlignedHead:
    """The trained layers as arrays; two logits become their difference."""
    weights = last.weight.detach().numpy().astype(float)
    offsets = last.bias.detach().numpy().astype(float)
    coefficients = np.concatenate([[offsets[1] - offsets[0]], weights[1] - weights[0]])
    if hidden is None:
        return AlignedHead(centre, scale, np.zeros((0, 0)), np.zeros(0), coefficients)
    hidden_weights = hidden.weight.detach().numpy().astype(float).T
    return AlignedHead(centre, scale, hidden_weights, hidden.bias.detach().numpy().astype(float), coefficients)


def _source_share(source_weights: np.ndarray, num_known: int, target_multiplier: float) -> float:
    """Share of the source in the cross-entropy by total weight."""
    of_source, of_target = float(source_weights.sum()), num_known * target_multiplier
    return of_source / (of_source + of_target)


def _units(source_features: np.ndarray, target_features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(D,) centre of all rows and one scale for all columns.

    Columns keep their proportions: principal components brought to equal variance would be mostly noise.
    """
    rows = np.concatenate([source_features, target_features])
    scale = float(np.sqrt(rows.var(axis=0, dtype=float).mean()))
    return rows.mean(axis=0, dtype=float), np.full(rows.shape[1], scale if scale > 1e-12 else 1.0)


def _checked_labels(
    source_target_probability: np.ndarray, target_features: np.ndarray, target_labels: np.ndarray | None
) -> np.ndarray:
    """(M,) the target labels that may be seen, NaN elsewhere."""
    if len(np.unique(source_target_probability >= 0.5)) < 2:
        raise BadInputError("The source rows are of one class.", repair="Add source rows of the other class.")
    if target_labels is None:
        return np.full(len(target_features), np.nan)
    if len(target_labels) != len(target_features):
        raise BadInputError(f"{len(target_labels)} target labels for {len(target_features)} target rows.")
    return np.asarray(target_labels, dtype=float)
