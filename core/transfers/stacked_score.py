"""Source scores as further features of the target model: one model and one score for each source domain."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from core.learners.base import LEARNERS, Learner
from core.learners.score_stacked import ScoreStacked
from core.transfers.base import TRANSFERS, Transfer, TransferTask
from core.transfers.source_fits import SourceFits, require_source, target_domain_of, usable_valid


@TRANSFERS.register("stacked_score")
class StackedScore(Transfer):
    """Source domains without both classes are passed over."""

    def __init__(self, source_fits: SourceFits | None = None) -> None:
        self.source_fits = source_fits or SourceFits()

    def fit(self, task: TransferTask) -> Learner:
        """The target learner, which sees the log-odds of each source domain's learner.

        Raises:
            BadParamsError: no labelled source row, or the target has no labelled row or not two classes.
        """
        source = require_source(task, "stacked_score")
        names = sorted(set(source.domains.astype(str)))
        sources = {}
        for name in names:
            rows = source if len(names) == 1 else source.of_domains([name])
            if len(np.unique(rows.targets)) < 2:
                continue
            purpose = "all" if len(names) == 1 else f"domain {name}"
            sources[name] = self.source_fits.recall(task, purpose, lambda rows=rows: task.make_learner().fit(rows))
        kind = task.make_learner()
        stacked = ScoreStacked(
            {
                "learner": LEARNERS.name_of(type(kind)),
                "options": asdict(kind.options),
                "target_domain": target_domain_of(task),
            },
            seed=task.seed,
        )
        return stacked.fit_on_target(sources, task.target.labelled(), usable_valid(task))
