"""C1: German credit, RepeatedStratifiedKFold(5, 2, seed 0), all columns, no row of a test fold seen by any choice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import RepeatedStratifiedKFold

from core.data.domain import DomainSpec
from core.data.samples import Samples
from core.data.table_schema import TableSchema
from core.evaluation.cross_validation import cross_validate
from core.evaluation.metrics import METRICS
from core.evaluation.paired_tests import corrected_resampled_t_test
from core.learners import LEARNERS
from verticals.credit_risk.protocols.opening import open_domains, write_result

PLAIN_XGBOOST = {
    "num_rounds": 200,
    "early_stopping_rounds": 0,
    "learning_rate": 0.05,
    "max_depth": 3,
    "min_child_weight": 3.0,
    "subsample": 0.8,
    "colsample_bynode": 0.8,
}
# The recipe in params.yaml: the plain mean of three parts' log-odds, so that nothing is fitted between them.
BLEND = {
    "parts": [
        {"learner": "boosted_trees", "options": {"num_rounds": 300, "early_stopping_rounds": 0}},
        {"learner": "kernel_logistic", "options": {"ordered": "codes"}},
        {"learner": "logistic_regression", "options": {}},
    ],
    "use_equal_weights": True,
    "use_part_maps": False,
}
STACKED = {**BLEND, "use_equal_weights": False, "use_part_maps": True}
# method -> (learner, options, whether it gets the order of categories and the derived ratio from domain.yaml)
METHODS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "xgboost_plain": ("boosted_trees", PLAIN_XGBOOST, False),
    "xgboost_same_inputs": ("boosted_trees", PLAIN_XGBOOST, True),
    "logistic_regression": ("logistic_regression", {}, True),
    "scorecard": ("scorecard", {}, True),
    "random_forest": ("random_forest", {}, True),
    "boosted_trees": ("boosted_trees", BLEND["parts"][0]["options"], True),
    "kernel_logistic": ("kernel_logistic", {"ordered": "codes"}, True),
    "blend": ("blend", BLEND, True),
    "blend_stacked": ("blend", STACKED, True),
}
BASELINE = "xgboost_plain"
NUM_FOLDS, NUM_REPEATS = 5, 2


def run(root: Path, *, report: Callable[[str], None] = print, methods: tuple[str, ...] = ()) -> dict[str, Any]:
    """Run all methods on the same ten folds; write and return the result."""
    samples, _, _, spec = open_domains(root, "german_credit")
    splitter = RepeatedStratifiedKFold(n_splits=NUM_FOLDS, n_repeats=NUM_REPEATS, random_state=0)
    folds = list(splitter.split(np.zeros(len(samples)), samples.targets))
    chosen = {name: METHODS[name] for name in (methods or METHODS)}
    scored: dict[str, list[dict]] = {}
    for is_described, inputs in ((False, plain_columns(samples, spec)), (True, samples)):
        makers = {
            name: partial(LEARNERS[learner], options, seed=0)
            for name, (learner, options, needs_description) in chosen.items()
            if needs_description is is_described
        }
        scored |= cross_validate(makers, inputs, folds, report=report)
    auc = {
        name: np.array(
            [
                METRICS["auc"].function(samples.targets[test], cell["probability"], 1)
                for (_, test), cell in zip(folds, cells, strict=True)
            ]
        )
        for name, cells in scored.items()
    }
    best = max(auc, key=lambda name: auc[name].mean())
    result = {
        "title": "German credit, 5 folds twice, AUC",
        "rows": len(samples),
        "protocol_detail": "RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0); protected columns used",
        "looks": "Settings come from other splits of the same rows; on these ten folds three kernel encodings and "
        "three blends were compared while the code was written, and about fourteen recipes in the study before it.",
        "interval": "corrected resampled t (Nadeau & Bengio 2003), 95 %",
        "baseline": BASELINE,
        "best": best,
        "methods": [_row(name, auc, scored[name], best) for name in auc],
    }
    path = write_result(root, "c1", result)
    for row in result["methods"]:
        report(f"{row['method']:22} AUC {row['auc']:.4f} [{row['low']:.4f}, {row['high']:.4f}] {row['verdict']}")
    report(f"written: {path.relative_to(root)}")
    return result


def plain_columns(samples: Samples, spec: DomainSpec) -> Samples:
    """The raw columns as a first script would read them: no order of categories, no derived ratio."""
    ratios = [column.name for column in spec.columns if column.ratio]
    features = [replace(feature, is_ordered=False) for feature in samples.schema.without(ratios).features]
    return samples.with_inputs(samples.inputs, TableSchema(tuple(features)))


def _row(name: str, auc: dict[str, np.ndarray], cells: list[dict], best: str) -> dict[str, Any]:
    """Mean, interval, and the paired differences to the baseline and to the best."""
    test_fraction = 1 / NUM_FOLDS
    own = corrected_resampled_t_test(auc[name], test_fraction)
    row = {
        "method": name,
        "learner": METHODS[name][0],
        "auc": own.difference,
        "low": own.low,
        "high": own.high,
        "fold_sd": float(auc[name].std(ddof=1)),
        "seconds_a_fold": float(np.mean([cell["seconds"] for cell in cells])),
        "folds": auc[name],
        "below_best": float(auc[best].mean() - auc[name].mean()),
        "verdict": "baseline",
    }
    if name != BASELINE and BASELINE in auc:
        paired = corrected_resampled_t_test(auc[name] - auc[BASELINE], test_fraction)
        row |= {
            "difference": paired.difference,
            "difference_low": paired.low,
            "difference_high": paired.high,
            "p_value": paired.p_value,
            "folds_won": int((auc[name] > auc[BASELINE]).sum()),
            "verdict": "gain" if paired.low > 0 else "loss" if paired.high < 0 else "no difference",
        }
    return row
