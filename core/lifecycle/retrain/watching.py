"""Step 2: is the new delivery to be believed, and are the rows since the champion still like those before it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.data.held_batches import is_accepted
from core.data.manifest import REGRESSION
from core.learners.scoring_model import ScoringModel
from core.lifecycle.monitor.recommend import Recommendation, recommend, suspicions
from core.lifecycle.monitor.watch import watch
from core.lifecycle.retrain.prepared_rows import TargetRows, snapshot_of
from core.lifecycle.retrain.retrain_params import RetrainParams

WATCHED = "rows since the champion"


@dataclass(frozen=True)
class Watched:
    """batches: those since the champion, oldest first. num_new_labels: labelled rows of them."""

    batches: tuple[str, ...]
    num_new_labels: int
    batch_problems: tuple[str, ...]
    recommendation: Recommendation
    report: dict[str, Any] | None

    def as_dict(self) -> dict[str, Any]:
        """As the journal has it."""
        reports = [] if self.report is None else [{"name": WATCHED, "batches": self.batches, "report": self.report}]
        return {
            "batches": self.batches,
            "num_new_labels": self.num_new_labels,
            "batch_problems": self.batch_problems,
            "recommendation": asdict(self.recommendation),
            "reports": reports,
        }


def watch_target(
    champion: ScoringModel,
    rows: TargetRows,
    *,
    folder: Path,
    batches: Sequence[str],
    newest: str | None,
    params: RetrainParams,
) -> Watched:
    """Hold the rows of the batches since the champion against those that it knew but did not learn from.

    batches: oldest first. folder: of the domain, which knows what a person has accepted. newest: the delivery of this
    run, which is asked first whether it is to be believed at all.
    """
    batches = tuple(batches)
    of_batch = rows.manifest["batch"].to_numpy(dtype=object)
    is_new = np.isin(of_batch, batches)
    told = {"batches": batches, "num_new_labels": int((is_new & rows.samples.is_labelled).sum())}
    reference = rows.take(reference_rows(champion, rows) & ~is_new)
    if not batches or not len(reference):
        reason = "No delivery has come since the champion." if not batches else "No row is left to compare with."
        return Watched(**told, batch_problems=(), recommendation=Recommendation("no_action", (reason,)), report=None)
    before = snapshot_of(champion, reference)
    problems: list[str] = []
    if newest in batches and not is_accepted(folder, newest):
        delivery = snapshot_of(champion, rows.take(of_batch == newest))
        problems = suspicions(before, delivery, params.monitor, params.policy, seed=params.seed)
    watched = rows.take(np.isin(of_batch, batches[-params.watch_batches :]))
    report = watch(before, snapshot_of(champion, watched), params.monitor, seed=params.seed)
    has_labels = told["num_new_labels"] > 0
    if problems:
        advice = Recommendation("hold", tuple(problems))
    elif report.problems:
        advice = Recommendation("no_action", (*report.problems, "They are watched again with the next delivery."))
    else:
        advice = recommend(report, params.policy, has_labels=has_labels, is_believed=True)
    if advice.action == "adapt" and _has_both_classes(rows.take(is_new)):
        advice = Recommendation("retrain", (*advice.reasons[:-1], "Earlier deliveries since the champion have labels."))
    return Watched(**told, batch_problems=tuple(problems), recommendation=advice, report=report.as_dict())


def reference_rows(champion: ScoringModel, rows: TargetRows) -> np.ndarray:
    """(N,) bool: rows that the champion did not learn from; where it does not say, those that no model may."""
    if champion.learned is None:
        return rows.manifest["split"].isin(("test", REGRESSION)).to_numpy()
    return ~champion.learned.contains(rows.samples.groups)


def _has_both_classes(rows: TargetRows) -> bool:
    known = rows.targets[~np.isnan(rows.targets)]
    return len(np.unique(known)) > 1
