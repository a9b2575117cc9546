"""The learner surface: fit, predict_probability, save, load; contributions where a model can explain itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.errors import BadParamsError, VerificationError
from core.params import parse_section
from core.registry import Registry

LEARNERS: Registry[type[Learner]] = Registry("learner")


class Learner(ABC):
    """A model that is fitted on Samples and scores Samples.

    `Options` is a frozen pydantic dataclass (config STRICT) with the learner's parameters and their defaults;
    an unknown one stops with the nearest name. Fitted state ends in `_`. `num_classes_` is set by fit.
    """

    Options: ClassVar[type]
    needs_torch: ClassVar[bool] = False
    is_one_class: ClassVar[bool] = False  # learns from class 0 alone, and brings its own threshold at 0.5

    def __init__(self, options: Mapping[str, Any] | Any | None = None, *, seed: int = 0) -> None:
        if is_dataclass(options) and isinstance(options, self.Options):
            self.options = options
        else:
            self.options = parse_section(self.Options, options or {}, where=f"learner_options of {type(self).__name__}")
        self.seed = seed

    @abstractmethod
    def fit(self, train: Samples, valid: Samples | None = None) -> Self:
        """Fit on the labelled rows of `train`; `valid` serves early stopping only.

        Raises:
            BadInputError: no labelled row, or one class only.
        """

    @abstractmethod
    def predict_probability(self, samples: Samples) -> np.ndarray:
        """(N, C) probabilities in Vertical.classes order; rows sum to one."""

    @abstractmethod
    def save_state(self, folder: Path) -> None:
        """Write the fitted state as plain files (JSON, UBJ, safetensors, parquet); never a pickle."""

    @abstractmethod
    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote; afterwards the probabilities are equal."""

    def contributions(self, samples: Samples) -> pd.DataFrame:
        """(N, F) additive contributions of each input column to the log-odds of class 1, against a typical row.

        Raises:
            NotImplementedError: the learner cannot explain itself.
        """
        raise NotImplementedError(f"{type(self).__name__} gives no contributions")


def save_learner(learner: Learner, folder: Path) -> None:
    """Write a learner with its name, options and seed into an existing or new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    learner.save_state(folder)
    write_json(
        folder / "learner.json",
        {
            "name": LEARNERS.name_of(type(learner)),
            "options": asdict(learner.options),
            "seed": learner.seed,
        },
    )


def load_learner(folder: Path) -> Learner:
    """The learner that `save_learner` wrote.

    Raises:
        VerificationError: the folder holds no learner, or one that this version cannot read.
    """
    header_path = Path(folder) / "learner.json"
    if not header_path.exists():
        raise VerificationError(f"{folder} holds no saved learner.", repair="Run `dvc repro` to train one.")
    header = read_json(header_path)
    try:
        learner = LEARNERS[header["name"]](header["options"], seed=header["seed"])
        learner.load_state(Path(folder))
    except (KeyError, BadParamsError) as error:
        raise VerificationError(
            f"{folder} was saved by another version: {error}.",
            repair="Train it again with `dvc repro`, or install the version that wrote it.",
        ) from error
    return learner


def check_trainable(samples: Samples) -> Samples:
    """The labelled rows, refused when there are none or when all are of one class.

    Raises:
        BadParamsError: nothing to learn from; the repair says what is needed.
    """
    labelled = samples.labelled()
    if len(labelled) == 0:
        raise BadParamsError(
            "There are no labelled training rows.",
            repair="Raise the label budget or choose transfer 'source_only'.",
        )
    if len(np.unique(labelled.targets)) < 2:
        raise BadParamsError(
            f"All {len(labelled)} labelled training rows are of one class.",
            repair="Add rows of the other class or raise the label budget.",
        )
    return labelled
