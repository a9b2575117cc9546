"""Step 4: champion against challenger on rows that neither learned from, and the release gates of the pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from core.data.manifest import REGRESSION
from core.evaluation.metrics import METRICS
from core.evaluation.release import Gate
from core.learners.scoring_model import ScoringModel
from core.lifecycle.retrain.comparisons import Comparison, compare_models
from core.lifecycle.retrain.gates import promotion_gates, standing
from core.lifecycle.retrain.prepared_rows import TargetRows, latency_ratio, probability_of
from core.lifecycle.retrain.retrain_params import RetrainParams, RunParams
from core.lifecycle.retrain.scored import Scored
from core.params import VerticalParams
from core.vertical import Vertical

FRESH, REGRESSION_SET = "fresh hold-out", "regression set"


def judge(
    challenger: ScoringModel,
    champion: ScoringModel | None,
    rows: TargetRows | None,
    *,
    release: Mapping[str, Any] | None,
    vertical: Vertical,
    params: VerticalParams,
    retrain: RetrainParams,
    changed_code: Sequence[str] | None,
) -> dict[str, Any]:
    """`{decision: ship|hold|refuse, headline, gates, comparisons}`, JSON-ready.

    release: the pipeline's own decision of this challenger (release_metrics.json); None of one that it did not make.
    changed_code: files in no commit; None where there is no commit at all.
    """
    gates = [*release_gates(release, retrain), code_gate(changed_code, retrain)]
    compared: list[Comparison] = []
    if champion is not None and rows is not None:
        fresh, regression = (
            _compare(name, part, challenger, champion, vertical, params, retrain)
            for name, part in judged_rows(rows, challenger, champion).items()
        )
        ratio = latency_ratio(challenger, champion, rows, predict=lambda model, few: model.predict_probability(few))
        if fresh is None:
            gates.append(empty_gate())
        else:
            gates += promotion_gates(fresh, regression, retrain.gates, latency_ratio=ratio)
        compared = [*(fresh or ()), *(regression or ())]
    return {**standing(gates), "comparisons": [asdict(one) for one in compared]}


def judged_rows(rows: TargetRows, challenger: Any, champion: Any) -> dict[str, TargetRows]:
    """Labelled test rows, and those of the regression set, of groups that neither model (`learned`) learned from."""
    is_unseen = rows.samples.is_labelled.copy()
    for model in (challenger, champion):
        if model.learned is not None:
            is_unseen &= ~model.learned.contains(rows.samples.groups)
    split = rows.manifest["split"].to_numpy(dtype=object)
    return {
        FRESH: rows.take(is_unseen & (split == "test")),
        REGRESSION_SET: rows.take(is_unseen & (split == REGRESSION)),
    }


def _compare(
    name: str,
    rows: TargetRows,
    challenger: ScoringModel,
    champion: ScoringModel,
    vertical: Vertical,
    params: VerticalParams,
    retrain: RetrainParams,
) -> list[Comparison] | None:
    if not len(rows):
        return None
    scored = Scored(
        name=name,
        targets=rows.targets.astype(int),
        champion=probability_of(champion, rows),
        challenger=probability_of(challenger, rows),
        champion_threshold=champion.threshold,
        challenger_threshold=challenger.threshold,
        groups=rows.samples.groups.astype(str),
        slices=rows.slices,
    )
    return compare_models(
        scored,
        retrain.gates,
        metric=METRICS[vertical.metrics[0]],
        cost_false_negative=params.train.cost_false_negative,
        cost_false_positive=params.train.cost_false_positive,
        seed=retrain.seed,
    )


def release_gates(release: Mapping[str, Any] | None, retrain: RunParams) -> list[Gate]:
    """As the report stage judged the challenger; what a person has waived passes and says so."""
    gates = []
    for told in (release or {}).get("gates", []):
        gate = Gate(**told)
        is_waived = not gate.is_passed and gate.consequence == "hold" and gate.name in retrain.waived
        reason = f"{gate.reason} Waived by retrain.waived." if is_waived else gate.reason
        gates.append(replace(gate, name=f"release: {gate.name}", is_passed=gate.is_passed or is_waived, reason=reason))
    return gates


def code_gate(changed_code: Sequence[str] | None, retrain: RunParams) -> Gate:
    """Is the code in a commit?"""
    told = "no commit" if changed_code is None else ", ".join(changed_code[:3]) + (", ..." if changed_code[3:] else "")
    is_clean = changed_code is not None and not changed_code
    return Gate(
        "code",
        "in a commit" if is_clean else f"changed and in no commit: {told}",
        "code and params.yaml in a commit" + (" (waived by retrain.allow_dirty)" if retrain.allow_dirty else ""),
        is_clean or retrain.allow_dirty,
        "hold",
        "A model of code that is in no commit cannot be trained again.",
    )


def empty_gate() -> Gate:
    """No row to compare on."""
    return Gate(
        FRESH,
        "no labelled row that neither model learned from",
        "rows to compare on",
        False,
        "hold",
        "Without them nothing shows that the challenger is no worse.",
    )


def challenger_metrics(judgement: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The challenger's own values on the fresh hold-out, as a version's record has them."""
    return {
        one["metric"]: {"value": one["challenger"], "low": None, "high": None}
        for one in judgement["comparisons"]
        if one["rows"] == FRESH and not one["slice"] and np.isfinite(one["challenger"] or np.nan)
    }
