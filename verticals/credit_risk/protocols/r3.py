"""R3: does a lender's monthly model pay for a warm start? LendingClub, the months of R1, two learners of C2."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.learners import LEARNERS
from core.lifecycle.retrain.warm_start import compare_starts
from verticals.credit_risk.protocols.c2 import LINEAR, TREES
from verticals.credit_risk.protocols.opening import open_domains, refit_schema, write_result
from verticals.credit_risk.protocols.r1 import DOMAIN, START

LEARNERS_COMPARED = {"logistic_regression": LINEAR, "boosted_trees": TREES}
UNTIL, REGRESSION_FRACTION = "2013-01", 0.1


def run(root: Path, *, report: Callable[[str], None] = print) -> dict[str, Any]:
    """Play the months with each learner; write results/r3.json.

    Raises:
        MissingArtifactError: the domain is not imported; the repair names the command.
    """
    samples, _, times, _ = open_domains(root, DOMAIN)
    months = times.dt.strftime("%Y-%m").to_numpy()
    before = np.flatnonzero(months < START)
    is_regression = np.random.default_rng(0).random(len(before)) < REGRESSION_FRACTION
    samples = refit_schema(samples, before[~is_regression])
    deliveries = [np.flatnonzero(months == month) for month in np.unique(months) if START <= month < UNTIL]
    learners = {}
    for name, options in LEARNERS_COMPARED.items():
        report(f"{name}:")
        learners[name] = compare_starts(
            samples, before[~is_regression], deliveries, before[is_regression],
            partial(LEARNERS[name], options, seed=0), report=report,
        )  # fmt: skip
    result = {
        "title": "LendingClub month by month: trained on from the last model, or from scratch on all months",
        "interval": "DeLong; Brier score: bootstrap of rows; 95 %",
        "careful": "Labels come with their month, although a loan's outcome is known only years later.",
        "learners": learners,
    }
    write_result(Path(root), "r3", result)
    return result
