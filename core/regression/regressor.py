"""The regressor surface: fit, predict, save, load; contributions where a model can explain itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from pydantic.dataclasses import dataclass

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.errors import BadInputError, BadParamsError, VerificationError
from core.params import STRICT, parse_section
from core.registry import Registry

REGRESSORS: Registry[type[Regressor]] = Registry("regressor")
REGRESSOR_FILE = "regressor.json"


@dataclass(frozen=True, config=STRICT)
class NoOptions:
    """A regressor or a transfer without options."""


class Regressor(ABC):
    """A model that is fitted on Samples whose labels are numbers, and predicts the number of other rows.

    `Options` is a frozen pydantic dataclass (config STRICT) with the parameters and their defaults; an unknown one
    stops with the nearest name. Fitted state ends in `_`. `selection_`: what `auto` found, one row a candidate; empty
    where nothing was chosen. It is saved beside the state.
    """

    Options: ClassVar[type] = NoOptions

    def __init__(self, options: Mapping[str, Any] | Any | None = None, *, seed: int = 0) -> None:
        if is_dataclass(options) and isinstance(options, self.Options):
            self.options = options
        else:
            name = type(self).__name__
            self.options = parse_section(self.Options, options or {}, where=f"regressor_options of {name}")
        self.seed = seed
        self.selection_: list[dict[str, Any]] = []

    @abstractmethod
    def fit(self, train: Samples, valid: Samples | None = None) -> Self:
        """Fit on the labelled rows of `train`; `valid` serves early stopping only.

        Raises:
            BadParamsError: no labelled row, or all labels are equal.
        """

    @abstractmethod
    def predict(self, samples: Samples) -> np.ndarray:
        """(N,) float64 in units of the label."""

    @abstractmethod
    def save_state(self, folder: Path) -> None:
        """Write the fitted state as plain files (JSON, UBJ); never a pickle."""

    @abstractmethod
    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote; afterwards the predictions are equal."""

    def for_residuals(self) -> Regressor:
        """A fresh regressor of the same kind for labels of either sign."""
        return type(self)(self.options, seed=self.seed)

    def contributions(self, samples: Samples) -> pd.DataFrame:
        """(N, F) what each input column adds to the prediction of a typical row, in units of the label.

        Raises:
            NotImplementedError: the regressor cannot explain itself.
        """
        raise NotImplementedError(f"{type(self).__name__} gives no contributions")


def save_regressor(regressor: Regressor, folder: Path) -> None:
    """Write a regressor with its name, options and seed into an existing or new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    regressor.save_state(folder)
    write_json(
        folder / REGRESSOR_FILE,
        {
            "name": REGRESSORS.name_of(type(regressor)),
            "options": asdict(regressor.options),
            "seed": regressor.seed,
            "selection": regressor.selection_,
        },
    )


def load_regressor(folder: Path) -> Regressor:
    """The regressor that `save_regressor` wrote.

    Raises:
        VerificationError: the folder holds no regressor, or one that this version cannot read.
    """
    import core.regression.regressors  # noqa: F401 - registers all

    header_path = Path(folder) / REGRESSOR_FILE
    if not header_path.exists():
        raise VerificationError(f"{folder} holds no saved regressor.", repair="Run `dvc repro` to train one.")
    header = read_json(header_path)
    try:
        regressor = REGRESSORS[header["name"]](header["options"], seed=header["seed"])
        regressor.selection_ = header["selection"]
        regressor.load_state(Path(folder))
    except (KeyError, BadParamsError) as error:
        raise VerificationError(
            f"{folder} was saved by another version: {error}.",
            repair="Train it again with `dvc repro`, or install the version that wrote it.",
        ) from error
    return regressor


def check_values(samples: Samples) -> Samples:
    """The labelled rows of positive weight, refused where they teach nothing.

    Raises:
        BadParamsError: no labelled row, all labels equal, or a table without a schema.
        BadInputError: an infinite label.
    """
    if samples.schema is None:
        raise BadParamsError(
            "A regressor reads tables, and these samples have no table schema.",
            repair="Open them with core.data.table_dataset.",
        )
    labelled = samples.take(samples.is_labelled & (samples.weights > 0))
    if len(labelled) == 0:
        raise BadParamsError(
            "There are no labelled training rows.",
            repair="Raise the label budget or choose transfer 'source_only'.",
        )
    if not np.isfinite(labelled.labels).all():
        row = labelled.sample_ids[int(np.argmin(np.isfinite(labelled.labels)))]
        raise BadInputError(f"The label of row '{row}' is infinite, expected a number.", repair="Mend or remove it.")
    if labelled.labels.min() == labelled.labels.max():
        raise BadParamsError(
            f"All {len(labelled)} labelled training rows have the label {labelled.labels[0]:g}.",
            repair="Add rows with other labels or raise the label budget.",
        )
    return labelled
