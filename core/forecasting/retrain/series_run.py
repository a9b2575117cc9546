"""A retraining run of a vertical that forecasts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.artifacts import Artifacts, read_json
from core.data.domain_folder import batch_names
from core.data.held_batches import is_accepted
from core.data.vertical_domain import read_vertical_domain
from core.errors import BadInputError, BadParamsError
from core.forecasting.headline import headline_metrics
from core.forecasting.panel import REPORT_FILE, Panel, read_panel
from core.forecasting.params import SeriesParams
from core.forecasting.retrain.delivery_doubts import delivery_doubts
from core.forecasting.retrain.saved_forecaster import SavedForecaster
from core.forecasting.retrain.series_judging import judge_forecaster
from core.forecasting.retrain.series_retrain_params import SeriesRetrainParams, series_retrain_params
from core.forecasting.retrain.series_watching import watch_forecasts
from core.lifecycle.monitor.recommend import Recommendation
from core.lifecycle.pipeline import reproduce
from core.lifecycle.registry import folder_digest
from core.lifecycle.retrain.deciding import changed_code
from core.lifecycle.retrain.gates import standing
from core.lifecycle.retrain.judging import code_gate, release_gates
from core.lifecycle.retrain.run import Run
from core.lifecycle.retrain.taking_in import take_in
from core.lifecycle.retrain.training import NONE, PIPELINE
from core.params import parse_section

SINCE = "days since the champion"
NO_ACTION, RETRAIN, HOLD = "no_action", "retrain", "hold"


@dataclass(frozen=True)
class SeriesRun(Run):
    """Watched by its losses and exceedances; judged by the method that made it, on the days since the champion."""

    params: SeriesParams
    retrain: SeriesRetrainParams

    @classmethod
    def parse(cls, params: SeriesParams, vertical_name: str) -> SeriesRetrainParams:
        """The `retrain` subsection."""
        return series_retrain_params(params, vertical_name)

    def load(self, folder: Path) -> SavedForecaster:
        """A forecaster with its tails."""
        return SavedForecaster.load(folder)

    def take_in(self) -> dict[str, Any]:
        """The delivery into the domain's folder; one that the import refuses is not, and the run ends with its reason.

        Returns that look like splits come in: there is no `--keep-jumps` here, and a person can take back what is set
        aside for them.
        """
        try:
            return take_in(self.data, self.vertical, self.target, self.source, options={"keep_jumps": True})
        except BadInputError as error:
            if self.source is None or (self.journal is None and self.champion() is None):
                raise
            folder = self.data / self.name / self.source.domain
            told = {"domain": self.source.domain, "batch": None, "notes": [], "batches": batch_names(folder)}
            return {**told, "refusal": f"The import refuses {self.source.path.name}: {error}"}

    def watch_and_tell(self, taken: dict[str, Any]) -> dict[str, Any]:
        """Without a champion a delivery may be doubted all the same."""
        if self.champion() is None and (doubts := self.doubts(taken)):
            return {"batches": taken["batches"], "batch_problems": doubts, "recommendation": None, "reports": []}
        return super().watch_and_tell(taken)

    def doubts(self, taken: Mapping[str, Any]) -> list[str]:
        """Why the delivery of this run is not believed; empty where it is, or a person has taken it back."""
        if taken.get("refusal"):
            return [taken["refusal"]]
        folder, batch = self.data / self.name / taken["domain"], taken["batch"]
        if batch is None or is_accepted(folder, batch):
            return []
        rows = read_vertical_domain(folder, self.name)
        days = rows.columns[rows.spec.with_use("time")[0].name].to_numpy(dtype="datetime64[D]")
        all_days = np.unique(days[~np.isnat(days)])
        is_new_day = np.isin(all_days, days[(rows.manifest["batch"] == batch).to_numpy()])
        return delivery_doubts(self.vertical.read_domain(folder)[0], all_days, is_new_day, self.retrain.delivery)

    def set_aside(self, taken: dict[str, Any], watched: dict[str, Any]) -> dict[str, Any]:
        """A delivery that the import refused is in no folder that it could be taken out of."""
        if taken.get("refusal"):
            return {"batch": None, "path": None}
        return super().set_aside(taken, watched)

    def watch(self, taken: Mapping[str, Any]) -> dict[str, Any]:
        """The champion on the days since it was made, each forecast of what was known at its end."""
        champion, panel = self.champion(), self.panel()
        batches, _ = self.news(taken)
        doubts = self.doubts(taken)
        num_new = len(panel.target) - 1 - champion.last_row(panel.target)
        told = {"batches": batches, "batch_problems": doubts, "num_new_days": num_new, "reports": []}
        if doubts:
            return {**told, "recommendation": asdict(Recommendation(HOLD, tuple(doubts)))}
        reasons = self.other_settings(champion)
        calm = f"No day has come since {champion.last_day}, the champion's last."
        if num_new >= 1 and champion.target_domain == self.target:
            forecast = champion.forecast(panel.target, champion.last_row(panel.target), **self.how_read(champion))
            report = watch_forecasts(
                champion, panel.target, forecast, self.usual(champion), self.retrain.watch, seed=self.retrain.seed
            )
            told["reports"] = [{"name": SINCE, "batches": batches, "report": report}]
            sentences = report["summary"][: len(report["tests"])]
            reasons += [text for text, test in zip(sentences, report["tests"], strict=True) if test["is_alarm"]]
            since = f"the {num_new:,} days since {champion.last_day}"
            calm = f"The forecasts hold on {since}." if report["tests"] else f"Of {since} nothing can be told yet."
        advice = Recommendation(RETRAIN if reasons else NO_ACTION, tuple(reasons or [calm]))
        return {**told, "recommendation": asdict(advice)}

    def other_settings(self, champion: SavedForecaster) -> list[str]:
        """What in params.yaml is another than the champion was made with, one sentence each."""
        lineage = self.champion_version().lineage
        try:
            before = parse_section(SeriesParams, lineage.params, where=f"{self.name} of the champion")
        except BadParamsError:
            return ["params.yaml of the champion is of another version."]
        found = [name for name in ("prepare", "train") if getattr(before, name) != getattr(self.params, name)]
        return [f"params.yaml: '{name}' is another than the champion's ({champion.method})." for name in found]

    def kind_of_training(self, watched: Mapping[str, Any]) -> tuple[str, str]:
        """The pipeline from scratch, or nothing."""
        advice = watched["recommendation"]
        if advice is None:
            return PIPELINE, "There is no champion yet."
        if advice["action"] == RETRAIN:
            return PIPELINE, "The monitor asks for it."
        if self.retrain.when == "drift":
            return NONE, "The monitor asks for nothing."
        if watched["num_new_days"] < self.retrain.min_new_days:
            return NONE, f"{watched['num_new_days']} days are fewer than retrain.min_new_days."
        return PIPELINE, "retrain.when is 'always'."

    def fit(self, kind: str) -> dict[str, Any]:
        """The pipeline's forecaster, of every day there is."""
        if kind == NONE:
            return {"kind": kind, "fit_seconds": 0.0, "model": None, "model_digest": None}
        started = time.perf_counter()
        reproduce(self.name, self.root, report=self.report)
        folder = self.artifacts.require("train", "model")
        return {
            "kind": kind,
            "fit_seconds": round(time.perf_counter() - started, 1),
            "model": folder.relative_to(self.root).as_posix(),
            "model_digest": folder_digest(folder),
        }

    def judge(self, trained: Mapping[str, Any]) -> dict[str, Any]:
        """The pipeline's own gates, and the method on the days since the champion."""
        champion, challenger = self.champion(), self.load(self.root / trained["model"])
        gates = release_gates(self.release_of(trained), self.retrain)
        gates.append(code_gate(changed_code(self.root), self.retrain))
        own_gates, compared = judge_forecaster(
            challenger,
            champion,
            self.panel(),
            self.params.train,
            self.retrain.gates,
            whole_day_factor=self.whole_day_factor(),
            history_days=(
                self.params.train.history_days,
                None if champion is None else self.how_read(champion)["history_days"],
            ),
        )
        return {**standing([*gates, *own_gates]), "comparisons": compared}

    def metrics_of(self, trained: Mapping[str, Any], judgement: Mapping[str, Any]) -> dict[str, Any]:
        """Of the walk over the test days; see `headline_metrics`."""
        return headline_metrics(read_json(self.artifacts.require("evaluate", "metrics.json")))

    def learned_batches(self) -> list[str]:
        """All of the target: every day has its truth."""
        return batch_names(self.target_folder)

    def panel(self) -> Panel:
        """What prepare made of all deliveries in use."""
        return read_panel(self.artifacts)

    def whole_day_factor(self) -> float:
        """Of the prepared target."""
        report = read_json(self.artifacts.require("prepare", REPORT_FILE))
        return report["markets"][report["target_domain"]]["whole_day_factor"]

    def how_read(self, champion: SavedForecaster) -> dict[str, Any]:
        """How the champion reads the prepared days: see `SavedForecaster.forecast`."""
        train = self.champion_version().lineage.params.get("train") or {}
        return {"whole_day_factor": self.whole_day_factor(), "history_days": train.get("history_days")}

    def usual(self, champion: SavedForecaster) -> pd.DataFrame | None:
        """The last walk-forward of the pipeline, if it is of the champion's method; a rehearsal reads the project's."""
        evaluated = Artifacts(self.root / "artifacts", self.name)
        metrics, table = evaluated.path("evaluate", "metrics.json"), evaluated.path("evaluate", "forecasts.parquet")
        if not (metrics.exists() and table.exists()) or read_json(metrics)["method"] != champion.method:
            return None
        return pd.read_parquet(table)
