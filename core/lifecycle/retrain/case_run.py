"""A retraining run of a vertical that scores cases for classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.artifacts import read_json
from core.learners.scoring_model import ScoringModel
from core.lifecycle.retrain.deciding import changed_code
from core.lifecycle.retrain.judging import challenger_metrics, judge
from core.lifecycle.retrain.prepared_run import PreparedRun
from core.lifecycle.retrain.retrain_params import RetrainParams, retrain_params
from core.lifecycle.retrain.training import PIPELINE, learns_unlabelled, train_challenger
from core.lifecycle.retrain.watching import watch_target
from core.params import VerticalParams


@dataclass(frozen=True)
class CaseRun(PreparedRun):
    """Watched by the drift monitor; judged on rows that neither model learned from, at costs of both mistakes."""

    params: VerticalParams
    retrain: RetrainParams

    @classmethod
    def parse(cls, params: VerticalParams, vertical_name: str) -> RetrainParams:
        """The `retrain` subsection with the costs of `train`."""
        return retrain_params(params, vertical_name)

    def load(self, folder: Path) -> ScoringModel:
        """A scoring model."""
        return ScoringModel.load(folder)

    def watch(self, taken: Mapping[str, Any]) -> dict[str, Any]:
        """Columns, embedding, scores and labels of the rows since the champion against those it knew."""
        batches, newest = self.news(taken)
        watched = watch_target(
            self.champion(),
            self.rows(),
            folder=self.target_folder,
            batches=batches,
            newest=newest,
            params=self.retrain,
        )
        return watched.as_dict()

    def learns_unlabelled(self) -> bool:
        """Of the transfer in params."""
        return learns_unlabelled(self.params)

    def fit(self, kind: str) -> dict[str, Any]:
        """The pipeline's model, or the champion with another calibration."""
        return train_challenger(
            kind,
            vertical=self.vertical,
            params=self.params,
            root=self.root,
            champion=self.champion(),
            read_rows=self.rows,
            own_folder=self.own_folder,
            report=self.report,
        )

    def judge(self, trained: Mapping[str, Any]) -> dict[str, Any]:
        """Both models on the same rows."""
        champion = self.champion()
        return judge(
            self.load(self.root / trained["model"]),
            champion,
            self.rows() if champion is not None else None,
            release=self.release_of(trained),
            vertical=self.vertical,
            params=self.params,
            retrain=self.retrain,
            changed_code=changed_code(self.root),
        )

    def metrics_of(self, trained: Mapping[str, Any], judgement: Mapping[str, Any]) -> dict[str, Any]:
        """Of the pipeline's evaluation, or of the comparison where the pipeline did not run."""
        if trained["kind"] != PIPELINE:
            return challenger_metrics(judgement)
        told = read_json(self.artifacts.require("evaluate", "metrics.json"))
        return {name: value for name, value in told.items() if isinstance(value, dict) and "value" in value}
