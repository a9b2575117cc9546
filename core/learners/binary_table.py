"""What all two-class table learners share: they score log-odds, and check their rows before they learn."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

import numpy as np
from scipy.special import expit

from core.data.samples import Samples
from core.data.table_schema import TableSchema
from core.errors import BadInputError, BadParamsError, did_you_mean
from core.learners.base import Learner, check_trainable


class BinaryTableLearner(Learner):
    """A learner of two classes whose score is the log-odds of class 1."""

    num_classes_: int = 2

    @abstractmethod
    def predict_logits(self, samples: Samples) -> np.ndarray:
        """(N,) log-odds of class 1."""

    def predict_probability(self, samples: Samples) -> np.ndarray:
        """(N, 2) probabilities of class 0 and class 1."""
        positive_probability = expit(self.predict_logits(samples))
        return np.column_stack([1.0 - positive_probability, positive_probability])


def check_binary(samples: Samples) -> Samples:
    """The labelled rows of positive weight, refused unless both of two classes are there.

    Raises:
        BadParamsError: no row, one class, more than two classes, or a table without a schema.
    """
    if samples.schema is None:
        raise BadParamsError(
            "This learner reads tables, and these samples have no table schema.",
            repair="Choose a learner for texts or images.",
        )
    trainable = check_trainable(samples.take(samples.weights > 0))
    if trainable.targets.max() > 1:
        raise BadParamsError(
            f"This learner tells two classes apart; the labels go up to class {trainable.targets.max()}.",
            repair="Choose a learner for several classes or join classes in domain.yaml.",
        )
    return trainable


def require_columns(samples: Samples, names: Iterable[str]) -> None:
    """Stop when an input column that the learner was fitted on is not there.

    Raises:
        BadInputError: names the missing columns and what they may be called now.
    """
    present = [str(name) for name in samples.inputs.columns]
    missing = [name for name in names if name not in present]
    if missing:
        raise BadInputError(f"Missing columns: {', '.join(missing)}.", repair=did_you_mean(missing[0], present))


def table_schema_of(samples: Samples) -> TableSchema:
    """The schema less its text features, which table learners do not read."""
    return samples.schema.without(samples.schema.names("text"))


def logits_of(learner: Learner, samples: Samples, *, smallest_probability: float = 1e-6) -> np.ndarray:
    """(N,) log-odds of class 1 of any two-class learner, kept finite."""
    if isinstance(learner, BinaryTableLearner):
        return learner.predict_logits(samples)
    positive_probability = np.clip(
        learner.predict_probability(samples)[:, 1], smallest_probability, 1 - smallest_probability
    )
    return np.log(positive_probability) - np.log1p(-positive_probability)
