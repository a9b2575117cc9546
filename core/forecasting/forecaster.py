"""The forecaster surface: a target's history and older series of other markets in, variances of the next days out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from pydantic.dataclasses import dataclass as strict_dataclass

from core.artifacts import read_json, write_json
from core.errors import BadInputError, BadParamsError, VerificationError
from core.forecasting.scaling import HAR_DAYS, MIN_HISTORY, WARM_UP_ROWS, Bounds
from core.forecasting.series import Series
from core.forecasting.targets import future_means
from core.model_manifest import verify_folder
from core.params import STRICT, parse_section
from core.registry import Registry

FORECASTERS: Registry[type[Forecaster]] = Registry("forecaster")


@dataclass(frozen=True)
class ForecastTask:
    """What a forecaster may learn from.

    history: the target's days up to the forecast's origin, as many as the budget allows. sources: series of other
    markets, cut before the first day that is tested (may be empty).
    """

    history: Series
    sources: tuple[Series, ...]
    horizons: tuple[int, ...]
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.history) < MIN_HISTORY:
            raise BadInputError(
                f"'{self.history.name}' has {len(self.history)} days to learn from; {MIN_HISTORY} are needed.",
                repair="Raise the history, or move the first day of the test period.",
            )

    @property
    def targets(self) -> np.ndarray:
        """(N, H) mean variance of the next days of the history; NaN where they are not all there."""
        return future_means(self.history.day_variance, self.horizons)


@strict_dataclass(frozen=True, config=STRICT)
class NoOptions:
    """A forecaster without options."""


class Forecaster(ABC):
    """One way to forecast. `transfers`: it learns from the sources as well.

    from_scratch: the forecaster that is the same but for the sources; what its transfer is judged against.
    Fitted state ends in `_`.
    """

    Options: ClassVar[type] = NoOptions
    transfers: ClassVar[bool] = False
    from_scratch: ClassVar[str | None] = None

    def __init__(self, options: Mapping[str, Any] | Any | None = None) -> None:
        if is_dataclass(options) and isinstance(options, self.Options):
            self.options = options
        else:
            name = type(self).__name__
            self.options = parse_section(self.Options, options or {}, where=f"method_options of {name}")

    def fit(self, task: ForecastTask) -> Self:
        """Learn from the history, and from the sources where it transfers."""
        self.horizons_, self.bounds_ = task.horizons, Bounds.of(task.targets)
        self.learn(task)
        return self

    def forecast(self, series: Series, first_row: int) -> np.ndarray:
        """(N - first_row, H) mean daily variance of the next 1..h days, in percent^2, of the rows from `first_row` on.

        What stands in row t depends on days up to t alone. `series` begins where the fitted history began.

        Raises:
            BadInputError: `first_row` has no whole month behind it.
        """
        if first_row < WARM_UP_ROWS:
            raise BadInputError(
                f"A forecast at row {first_row} of '{series.name}' has not {HAR_DAYS[-1]} days behind it.",
                repair="Bring more days, or begin later.",
            )
        return self.bounds_.hold(self.foresee(series, first_row))

    @abstractmethod
    def learn(self, task: ForecastTask) -> None:
        """What `fit` does besides noting horizons and bounds."""

    @abstractmethod
    def foresee(self, series: Series, first_row: int) -> np.ndarray:
        """What `forecast` gives before it is held within the bounds."""

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What was learned besides horizons and bounds, as JSON values and as arrays."""
        return {}, {}

    def restore(self, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:  # noqa: B027 - see above
        """Take what `state` gave; afterwards the forecasts are equal."""


def save_forecaster(forecaster: Forecaster, folder: Path) -> None:
    """Write a fitted forecaster as JSON and safetensors into an existing or new folder.

    Whoever has written all that belongs beside it ends with `core.model_manifest.write_manifest`.
    """
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    values, arrays = forecaster.state()
    arrays = {**arrays, "bounds.low": forecaster.bounds_.low, "bounds.high": forecaster.bounds_.high}
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / "arrays.safetensors")
    header = {
        "name": FORECASTERS.name_of(type(forecaster)),
        "options": asdict(forecaster.options),
        "horizons": forecaster.horizons_,
        "values": values,
    }
    write_json(folder / "forecaster.json", header)


def load_forecaster(folder: Path) -> Forecaster:
    """The forecaster that `save_forecaster` wrote, after every file matched its SHA-256.

    Raises:
        MissingArtifactError: the folder holds no model.
        VerificationError: a file is changed, missing or not listed, or this version cannot read it.
    """
    from safetensors.numpy import load_file

    import core.forecasting.methods  # noqa: F401 - registers all

    verify_folder(folder)
    try:
        saved = read_json(Path(folder) / "forecaster.json")
        forecaster = FORECASTERS[saved["name"]](saved["options"])
        arrays = load_file(Path(folder) / "arrays.safetensors")
        forecaster.horizons_ = tuple(saved["horizons"])
        forecaster.bounds_ = Bounds(arrays.pop("bounds.low"), arrays.pop("bounds.high"))
        forecaster.restore(saved["values"], arrays)
    except (FileNotFoundError, KeyError, BadParamsError) as error:
        raise VerificationError(
            f"{folder} is no forecaster, or was saved by another version: {error}.",
            repair="Train it again with `dvc repro`.",
        ) from error
    return forecaster
