"""How X1's radiographs could be brought to the learner: size, greys, crop, views, judged across series of training
patients. No row of the publisher's test split is read: a way that is no better here is not tried there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from core.evaluation.ledger import LedgerRun, build_ledger
from core.images.spec import ImageSpec
from core.learners import LEARNERS
from core.learners.binary_table import logits_of
from core.reporting.protocol_result import write_protocol_result
from verticals.chest_xray.protocols.kermany_split import across_series, divide, draw_patients, series_of
from verticals.chest_xray.protocols.opening import open_hospitals
from verticals.chest_xray.protocols.recipes import LAST_LAYER, MULTI_STAGE, SIZE, two_columns

DOMAIN, BASELINE = "kermany", "as_it_comes"
NUM_ROWS = 1200  # whole patients of the training split
# way -> how pictures are fitted, options of image_probe
WAYS: Mapping[str, tuple[ImageSpec, Mapping[str, Any]]] = {
    BASELINE: (SIZE, MULTI_STAGE),
    "last_layer": (SIZE, LAST_LAYER),
    "one_view": (SIZE, {**MULTI_STAGE, "views": "none"}),
    "half_size": (replace(SIZE, size_px=112), MULTI_STAGE),
    "larger": (replace(SIZE, size_px=288), MULTI_STAGE),
    "equalise": (replace(SIZE, harmonise="equalise"), MULTI_STAGE),
    "clahe": (replace(SIZE, harmonise="clahe"), MULTI_STAGE),
    "lungs": (replace(SIZE, crop="lungs"), MULTI_STAGE),
}

Report = Callable[[str], None]


def run(
    root: Path,
    *,
    report: Report = print,
    ways: Mapping[str, tuple[ImageSpec, Mapping[str, Any]]] = WAYS,
    num_rows: int = NUM_ROWS,
) -> dict[str, Any]:
    """Each way fitted on half of the series and scored on the other half, both ways round; write and return it."""
    runs, targets, groups, series = [], np.zeros(0), np.zeros(0, dtype=str), {}
    for way, (spec, options) in ways.items():
        started = time.perf_counter()
        samples, columns = open_hospitals(root, (DOMAIN,), spec, report=lambda _: None)
        division = divide(samples, columns, is_patient_safe=True, seed=0)
        rows = draw_patients(samples.groups, np.union1d(division.train, division.valid), num_rows)
        names = series_of(columns, samples)
        halves = across_series(names, rows, samples.targets)
        logits = np.full(len(samples), np.nan)
        for fit, held in halves:
            learner = LEARNERS["image_probe"](options, seed=0).fit(samples.take(fit))
            logits[held] = logits_of(learner, samples.take(held))
        targets, groups = samples.targets[rows], samples.groups[rows].astype(str)
        series = {"fit_on": [sorted(set(names[fit])) for fit, _ in halves], "rows": [len(fit) for fit, _ in halves]}
        runs.append(LedgerRun(way, "all", 0, 0, two_columns(logits[rows]), time.perf_counter() - started))
        report(f"{way}: {runs[-1].fit_seconds:.0f} s")
    ledger = build_ledger(runs, targets, metric="auc", positive_index=1, baseline=BASELINE, groups=groups)
    result = {
        "title": "Kermany's chest radiographs: how they are brought to the learner, across series",
        "protocol_detail": f"{len(targets)} rows of training patients who are not in the test split, halved by the "
        "series of their numbers and the kind of pneumonia; each row is scored by the model of the other half. A way "
        "that gains nothing here is not tried on the test split.",
        "interval": "95 %, bootstrap over whole patients",
        "series": series,
        "ledger": ledger,
    }
    path = write_protocol_result(root, "chest_xray", "x1_pictures", result, ("timm",))
    for entry in ledger["entries"]:
        report(f"{entry['method']:14} AUC {entry['mean']:.4f} [{entry['low']:.4f}, {entry['high']:.4f}] "
               f"{entry['verdict']}")  # fmt: skip
    report(f"written: {path.relative_to(root)}")
    return result
