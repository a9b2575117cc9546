"""What a vertical tells the core about itself, and how the core finds it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from core.data.samples import Samples
from core.errors import BadParamsError, did_you_mean
from core.params import VerticalParams

FORECASTS = "timeseries"  # the modality whose verticals forecast days to come instead of scoring cases
# How the stages of a vertical are told from those of the others: forecasts have all of their own, a predicted number
# shares `prepare` with classes.
SERIES, VALUE = "series_", "value_"


@dataclass(frozen=True, kw_only=True)
class Vertical:
    """One field of application.

    `read_domain(folder)` gives a `DomainRows`: the manifest columns (sample_id, label, domain, group, time,
    slice attributes) and whatever the vertical needs of each row.
    `open_dataset(rows, specs, target_domain)` turns prepared rows of one or several domains into Samples in the
    target's schema.
    `fetch(names, folder)` materialises demo domains under `folder`; `demo_domains` lists them.
    `evaluate_more(facts, folder)` adds to the evaluate stage what only this vertical has (localisation, robustness):
    it writes files into `folder` and returns what goes into evidence.json; without it, and without `report_sections`,
    kinds and findings are measured and shown where the model tells them.
    `export(model, opened, params, folder)` writes what runs elsewhere into `folder` and returns its metrics, with
    `is_equal` and `largest_difference`; without it a points scorecard is exported.
    `open_scorer(model_folder)` loads the saved model for a dashboard: of tables a
    `core.tables.scorer.TableScorer`, of pictures a `core.pictures.scorer.PictureScorer`.
    `protocols` maps a benchmark id (`c1`) to a function (options) -> result dictionary.
    `params_type` is the dataclass of its section in params.yaml.

    The decision is always one of two `classes`. Task `multiclass`: beside it, each positive label of domain.yaml is a
    kind with a probability. Task `multilabel`: each column of use `finding` has one of its own, whatever is decided.

    A vertical of modality `timeseries` forecasts: its `read_domain(folder)` gives (`core.forecasting.series.Series`,
    problems, DomainSpec); it has no classes and no `open_dataset`, and its stages are those of `core/stages/series_*`.
    A vertical of another modality and task `regression` predicts a number: it has no classes either, its `params_type`
    is `core.regression.params.RegressionParams`, and after `prepare` its stages are those of `core/stages/value_*`.
    """

    name: str
    title: str
    task: Literal["binary", "multiclass", "multilabel", "regression"]
    modality: Literal["table", "text", "image", "timeseries"]
    metrics: tuple[str, ...]
    source_domains: tuple[str, ...]
    target_domain: str
    demo_domains: tuple[str, ...]
    read_domain: Callable[[Path], Any]
    fetch: Callable[..., None]
    import_domain: Callable[..., Any]
    options_type: type
    classes: tuple[str, ...] = ()
    positive_class: str = ""
    open_dataset: Callable[..., Samples] | None = None
    params_type: type = VerticalParams
    protocols: Mapping[str, Callable[..., dict]] = field(default_factory=dict)
    report_sections: Callable[..., list] | None = None
    evaluate_more: Callable[..., dict[str, Any]] | None = None
    export: Callable[..., dict[str, Any]] | None = None
    predict: Callable[..., pd.DataFrame] | None = None
    open_scorer: Callable[[Path], Any] | None = None

    @property
    def positive_index(self) -> int:
        """Column of the positive class in predicted probabilities."""
        return self.classes.index(self.positive_class)

    @property
    def forecasts(self) -> bool:
        """Whether it forecasts days to come instead of scoring cases."""
        return self.modality == FORECASTS

    @property
    def predicts_number(self) -> bool:
        """Whether it predicts a number for each case instead of a class."""
        return self.task == "regression" and not self.forecasts

    def stage_name(self, stage: str) -> str:
        """The stage's name in dvc.yaml and its module in core/stages: `train`, `series_train` or `value_train`."""
        return stage_name(stage, modality=self.modality, task=self.task)


def stage_name(stage: str, *, modality: str, task: str) -> str:
    """What the stage is called for verticals of this modality and task."""
    if modality == FORECASTS:
        return SERIES + stage
    return VALUE + stage if task == "regression" and stage != "prepare" else stage


@dataclass(frozen=True)
class Later:
    """A function of a module that is imported when it is first called or its signature is asked for."""

    module: str
    name: str

    def resolve(self) -> Callable[..., Any]:
        """The function itself."""
        return getattr(importlib.import_module(self.module), self.name)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Call the function itself."""
        return self.resolve()(*arguments, **keywords)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.resolve())


def later(module: str, name: str) -> Callable[..., Any]:
    """A function that is imported when it is needed, so that listing verticals stays quick."""
    return Later(module, name)


def vertical_names(*, forecasts: bool | None = None) -> list[str]:
    """The packages below `verticals`, sorted; all of them, or only those that forecast, or that do not."""
    package = importlib.import_module("verticals")
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.ispkg)
    return names if forecasts is None else [name for name in names if load_vertical(name).forecasts == forecasts]


def load_vertical(name: str) -> Vertical:
    """The `VERTICAL` of `verticals/<name>`.

    Raises:
        BadParamsError: there is no such vertical; the nearest is named.
    """
    if name not in vertical_names():
        raise BadParamsError(f"Unknown vertical '{name}'.", repair=did_you_mean(name, vertical_names()))
    return importlib.import_module(f"verticals.{name}").VERTICAL


def load_case_vertical(name: str) -> Vertical:
    """As `load_vertical`, for what only verticals that score cases have.

    Raises:
        BadParamsError: there is no such vertical, or it forecasts.
    """
    vertical = load_vertical(name)
    if vertical.forecasts:
        raise BadParamsError(
            f"{name} forecasts days to come; this is for verticals that score cases.",
            repair=f"Those are: {', '.join(vertical_names(forecasts=False))}.",
        )
    return vertical
