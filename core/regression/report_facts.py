"""What the stages of one run of a predicted number wrote, read once for its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.artifacts import Artifacts, read_json
from core.data.domain import DomainSpec
from core.data.prepared import read_specs
from core.regression.params import RegressionParams
from core.regression.predicted_rows import PredictedRows
from core.regression.quantity import label_words, with_unit
from core.regression.regression_model import RegressionModel
from core.vertical import Vertical

TABLES = ("slices", "errors_by_prediction", "contributions")


@dataclass(frozen=True)
class RegressionFacts:
    """predictions: of all test rows; truth is NaN where it is not known. The JSON files are told by their stages."""

    vertical: Vertical
    params: RegressionParams
    model: RegressionModel
    specs: Mapping[str, DomainSpec]
    train: Mapping[str, Any]
    metrics: Mapping[str, Any]
    ledger: Mapping[str, Any]
    export: Mapping[str, Any]
    data: Mapping[str, Any]
    predictions: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]

    @classmethod
    def read(cls, vertical: Vertical, params: RegressionParams, artifacts: Artifacts) -> RegressionFacts:
        """The files of all earlier stages.

        Raises:
            MissingArtifactError: a stage has not run; the repair names the command.
        """
        return cls(
            vertical=vertical,
            params=params,
            model=RegressionModel.load(artifacts.require("train", "model")),
            specs=read_specs(artifacts),
            train=read_json(artifacts.require("train", "train_metrics.json")),
            metrics=read_json(artifacts.require("evaluate", "metrics.json")),
            ledger=read_json(artifacts.require("compare", "ledger_metrics.json")),
            export=read_json(artifacts.require("export", "export_metrics.json")),
            data=read_json(artifacts.require("prepare", "data_report.json")),
            predictions=pd.read_parquet(artifacts.require("evaluate", "predictions.parquet")),
            tables={name: pd.read_csv(artifacts.require("evaluate", f"{name}.csv")) for name in TABLES},
        )

    @property
    def target(self) -> DomainSpec:
        """The domain that the model is for."""
        return self.specs[self.params.prepare.target_domain]

    @property
    def sources(self) -> list[DomainSpec]:
        """The domains that it learned from beside it."""
        return [self.specs[name] for name in self.params.prepare.source_domains]

    @property
    def unit(self) -> str:
        """Of the label; empty where it has none."""
        return self.model.unit

    @property
    def quantity(self) -> str:
        """What is predicted, with its unit."""
        return with_unit(label_words(self.target), self.unit)

    @property
    def rows(self) -> PredictedRows:
        """The labelled test rows, with their band where the model has one."""
        return self.model.labelled_rows(self.predictions)

    @property
    def suspects_used(self) -> list[str]:
        """Features of which the leakage guard strongly suspects that they are known only after the outcome."""
        used = set(self.model.schema.names())
        found = self.data.get("leakage_suspects") or []
        return [suspect["column"] for suspect in found if suspect["is_strong"] and suspect["column"] in used]

    @property
    def protected_slices(self) -> pd.DataFrame:
        """The slices of protected attributes."""
        slices = self.tables["slices"]
        return slices[slices["attribute"].isin(self.target.protected)]

    @property
    def flagged_protected(self) -> list[str]:
        """`sex = f (mean_error)`: groups of protected attributes whose errors differ from the rest beyond chance."""
        flagged = self.protected_slices
        flagged = flagged[flagged["is_flagged"].astype(bool)]
        return [f"{row.attribute} = {row.value} ({row.flagged_gaps})" for row in flagged.itertuples()]

    @property
    def num_judged_groups(self) -> int:
        """Groups of protected attributes that are large enough for a test."""
        return int(np.isfinite(self.protected_slices["mae_p"].to_numpy(dtype=float)).sum())
