"""D3: few labels of D1's training part, 50, 200 and 800, five draws each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.data.label_budget import draw_budget
from core.data.samples import Samples
from core.evaluation.ledger import LedgerRun, build_ledger
from core.learners import LEARNERS
from core.reporting.protocol_result import write_protocol_result
from verticals.defect_detection.protocols.d1 import LINES, split_rows
from verticals.defect_detection.protocols.opening import open_lines
from verticals.defect_detection.protocols.recipes import METHODS, MULTI_STAGE, SIZE

BASELINE = "last_layer_logistic"
BUDGETS = (50, 200, 800)
FIRST_FIGURES = {50: 0.754, 200: 0.843, 800: 0.858}
WANTED_GAIN = 0.04
CHOSEN = {
    "last_layer_logistic": METHODS["last_layer_logistic"],
    "multi_stage": METHODS["multi_stage"],
    "multi_stage_soft": METHODS["multi_stage_soft"],
    "multi_stage_logistic": (
        "image_probe",
        {**MULTI_STAGE, "head": "logistic", "use_soft_labels": True, "strength": 1000.0},
    ),
}


def run(
    root: Path, *, report: Callable[[str], None] = print, budgets: Sequence[int] = BUDGETS, num_draws: int = 5
) -> dict[str, Any]:
    """Every method on the same draws of labels; write and return the result."""
    samples = open_lines(root, LINES, SIZE, report=report)
    train_rows, test_rows = split_rows(root, samples.labels)
    train, test = samples.take(train_rows), samples.take(test_rows)
    # D1 draws cells one by one: whole modules as groups would give 50 labels of one module.
    alone = _without_groups(train)
    runs = []
    for budget in budgets:
        for draw in range(num_draws):
            labelled = draw_budget(alone, budget, seed=draw).labelled()
            for name, (learner, options) in CHOSEN.items():
                started = time.perf_counter()
                fitted = LEARNERS[learner](options, seed=draw).fit(labelled)
                probability = fitted.predict_probability(test)
                runs.append(LedgerRun(name, budget, draw, draw, probability, time.perf_counter() - started))
            report(f"{budget} labels, draw {draw + 1} of {num_draws}")
    ledger = build_ledger(runs, test.targets, metric="auc", positive_index=1, baseline=BASELINE)
    best = {
        budget: max(
            (e["mean"] for e in ledger["entries"] if e["budget"] == budget and e["method"] != BASELINE), default=None
        )
        for budget in budgets
    }
    result = {
        "title": "ELPV, few labels of D1's training part, test as in D1",
        "rows": {"pool": len(train), "test": len(test)},
        "careful": "As in D1 neighbours of one module may stand on both sides.",
        "interval": "95 %, bootstrap over draws and test rows",
        "ledger": ledger,
        "target": {
            str(budget): {
                "wanted": FIRST_FIGURES.get(budget, np.nan) + WANTED_GAIN,
                "best": best[budget],
                "is_reached": bool(best[budget] >= FIRST_FIGURES.get(budget, np.nan) + WANTED_GAIN),
            }
            for budget in budgets
        },
    }
    path = write_protocol_result(root, "defect_detection", "d3", result, ("timm",))
    for entry in ledger["entries"]:
        report(f"{entry['budget']!s:>5} {entry['method']:24} {entry['mean']:.4f} {entry['verdict']}")
    report(f"written: {path.relative_to(root)}")
    return result


def _without_groups(samples: Samples) -> Samples:
    """Each row a group of its own."""
    from dataclasses import replace

    return replace(samples, groups=samples.sample_ids)
