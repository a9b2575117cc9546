"""Does it pay to train on from the champion? Delivery by delivery beside a model trained from scratch on all of them.

Three ways, each with a model of its own that is told every delivery's labels after it was scored: `scratch` learns all
rows anew; `warm` grows on from its last model with the delivery alone, by the learner's `continue_on` (L2-SP: a penalty
centred at the last coefficients; more trees on the last ones); `rehearsal` does so with as many old rows beside.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.special import expit

from core.data.samples import Samples
from core.evaluation.delong import delong_interval
from core.evaluation.metrics import METRICS
from core.evaluation.paired_tests import PairedResult, bootstrap_paired_test, delong_test
from core.learners.base import Learner
from core.learners.binary_table import logits_of

SCRATCH, WARM, REHEARSAL = "scratch", "warm", "rehearsal"
WAYS = (SCRATCH, WARM, REHEARSAL)


def compare_starts(
    samples: Samples,
    first: np.ndarray,
    deliveries: Sequence[np.ndarray],
    regression: np.ndarray,
    make_learner: Callable[[], Learner],
    *,
    seed: int = 0,
    report: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Figures of each way, and both warm ones against `scratch`, on the same rows.

    first: (n,) rows of the first model. deliveries: (n_d,) rows each, in their order; a delivery is scored before any
    model learns it. regression: (n_r,) rows of the first period that no model learns; scored by the first model and by
    the last, they tell what was forgotten. A delivery without both classes is scored and learned with the next.

    Raises:
        BadParamsError: the learner cannot continue, or the first rows lack a class.
    """
    random = np.random.default_rng(seed)
    start = make_learner().fit(samples.take(first))
    models: dict[str, Learner] = dict.fromkeys(WAYS, start)
    seconds, scores = dict.fromkeys(WAYS, 0.0), {way: [] for way in WAYS}
    known, waiting = np.asarray(first), np.array([], dtype=int)
    for number, rows in enumerate(deliveries, start=1):
        for way in WAYS:
            scores[way].append(logits_of(models[way], samples.take(rows)))
        waiting = np.concatenate([waiting, rows])
        if number < len(deliveries) and len(np.unique(samples.labels[waiting])) > 1:
            drawn = random.choice(known, min(len(waiting), len(known)), replace=False)
            known = np.concatenate([known, waiting])
            learned = {SCRATCH: known, WARM: waiting, REHEARSAL: np.concatenate([waiting, drawn])}
            for way in WAYS:
                began, told = time.perf_counter(), samples.take(learned[way])
                models[way] = make_learner().fit(told) if way == SCRATCH else models[way].continue_on(told)
                seconds[way] += time.perf_counter() - began
            waiting = waiting[:0]
        report(f"{number}/{len(deliveries)}: {len(rows)} rows")
    scored = np.concatenate(deliveries)
    fresh = _figures(samples.take(scored), {way: np.concatenate(told) for way, told in scores.items()}, seed)
    last = {way: logits_of(models[way], samples.take(regression)) for way in WAYS}
    old = _figures(samples.take(regression), {"first_model": logits_of(start, samples.take(regression)), **last}, seed)
    return {
        "rows": {"first": len(first), "deliveries": len(scored), "regression": len(regression)},
        "num_deliveries": len(deliveries),
        "seconds_to_fit": {way: round(told, 2) for way, told in seconds.items()},
        "next_delivery": fresh,
        "first_period": old,
    }


def _figures(rows: Samples, logits: dict[str, np.ndarray], seed: int) -> dict[str, Any]:
    """AUC and Brier score of each, and the difference of each to `scratch` by paired tests."""
    targets, told = rows.targets, {}
    probability = {name: _probability(score) for name, score in logits.items()}
    for name, score in logits.items():
        interval = delong_interval(targets, score)
        told[name] = {
            "auc": {"value": interval.value, "low": interval.low, "high": interval.high},
            "brier": float(METRICS["brier"].function(targets, probability[name], 1)),
        }
        if name != SCRATCH:
            brier = bootstrap_paired_test(
                METRICS["brier"], targets, probability[name], probability[SCRATCH], 1, seed=seed, groups=rows.groups
            )
            told[name]["auc_minus_scratch"] = _told(delong_test(targets, score, logits[SCRATCH]))
            told[name]["brier_minus_scratch"] = _told(brier)
    return told


def _told(paired: PairedResult) -> dict[str, float]:
    return {"value": paired.difference, "low": paired.low, "high": paired.high, "p_value": paired.p_value}


def _probability(logits: np.ndarray) -> np.ndarray:
    """(N, 2)."""
    positive = expit(logits)
    return np.column_stack([1.0 - positive, positive])
