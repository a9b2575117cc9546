"""A retraining run of a vertical that predicts a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import core.regression.transfers  # noqa: F401 - registers all
from core.artifacts import read_json
from core.lifecycle.retrain.deciding import changed_code
from core.lifecycle.retrain.gates import promotion_gates, standing
from core.lifecycle.retrain.judging import code_gate, empty_gate, judged_rows, release_gates
from core.lifecycle.retrain.prepared_rows import TargetRows, latency_ratio
from core.lifecycle.retrain.prepared_run import PreparedRun
from core.lifecycle.retrain.training import PIPELINE, RECALIBRATED, train_challenger
from core.params import parse_section
from core.regression.params import RegressionParams, RegressionTrainParams
from core.regression.predicted_rows import PredictedRows
from core.regression.regression_model import RegressionModel
from core.regression.retrain.value_comparisons import ValueComparison, compare_values
from core.regression.retrain.value_retrain_params import ValueRetrainParams
from core.regression.retrain.value_watching import ValueSide, watch_values
from core.regression.transfer import REGRESSION_TRANSFERS


@dataclass(frozen=True)
class ValueRun(PreparedRun):
    """Watched by columns, predictions and errors; judged by errors on rows that neither model learned from."""

    params: RegressionParams
    retrain: ValueRetrainParams

    @classmethod
    def parse(cls, params: RegressionParams, vertical_name: str) -> ValueRetrainParams:
        """The `retrain` subsection."""
        return parse_section(ValueRetrainParams, params.retrain, where=f"{vertical_name}.retrain")

    def load(self, folder: Path) -> RegressionModel:
        """A regression model."""
        return RegressionModel.load(folder)

    def watch(self, taken: Mapping[str, Any]) -> dict[str, Any]:
        """Columns, predictions and errors of the rows since the champion against those it knew."""
        batches, newest = self.news(taken)
        told = {"folder": self.target_folder, "batches": batches, "newest": newest, "params": self.retrain}
        return watch_values(self.champion(), self.rows(), **told)

    def learns_unlabelled(self) -> bool:
        """Of the transfer in params."""
        return learns_unlabelled(self.params.train)

    def fit(self, kind: str) -> dict[str, Any]:
        """The pipeline's model."""
        return train_challenger(
            PIPELINE if kind == RECALIBRATED else kind,
            vertical=self.vertical,
            params=self.params,
            root=self.root,
            champion=None,
            read_rows=self.rows,
            own_folder=self.own_folder,
            report=self.report,
        )

    def judge(self, trained: Mapping[str, Any]) -> dict[str, Any]:
        """Both models on the same rows, and the pipeline's own gates."""
        gates = [
            *release_gates(self.release_of(trained), self.retrain),
            code_gate(changed_code(self.root), self.retrain),
        ]
        champion, compared = self.champion(), []
        if champion is not None:
            challenger, rows = self.load(self.root / trained["model"]), self.rows()
            fresh, regression = (
                self.compare(name, part, champion, challenger)
                for name, part in judged_rows(rows, challenger, champion).items()
            )
            ratio = latency_ratio(challenger, champion, rows, predict=lambda model, few: model.predict(few))
            if fresh is None:
                gates.append(empty_gate())
            else:
                gates += promotion_gates(fresh, regression, self.retrain.gates, latency_ratio=ratio)
            compared = [*(fresh or ()), *(regression or ())]
        return {**standing(gates), "comparisons": [asdict(one) for one in compared]}

    def compare(
        self, name: str, rows: TargetRows, champion: RegressionModel, challenger: RegressionModel
    ) -> list[ValueComparison] | None:
        """Of the rows of one hold-out; None where there are none."""
        if not len(rows):
            return None
        sides: dict[str, PredictedRows] = {
            side: ValueSide.of(model, rows).predicted(model)
            for side, model in (("champion", champion), ("challenger", challenger))
        }
        return compare_values(
            name,
            sides,
            rows.samples.groups.astype(str),
            rows.slices,
            self.retrain.gates,
            metric=self.vertical.metrics[0],
            seed=self.retrain.seed,
        )

    def metrics_of(self, trained: Mapping[str, Any], judgement: Mapping[str, Any]) -> dict[str, Any]:
        """Of the pipeline's evaluation."""
        told = read_json(self.artifacts.require("evaluate", "metrics.json"))
        return {name: told[name] for name in self.vertical.metrics if name in told}


def learns_unlabelled(params: RegressionTrainParams) -> bool:
    """Whether rows without a label change what the transfer fits; of `auto`, whether a candidate's do."""
    names = (params.transfer,)
    if params.transfer == "auto":
        names = params.candidates or tuple(name for name in REGRESSION_TRANSFERS if name != "auto")
    return any(REGRESSION_TRANSFERS[name].learns_unlabelled for name in names)
