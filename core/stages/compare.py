"""Stage `compare`: the transfer ledger - methods x label budgets x draws, all scored on the same test rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from core.artifacts import Artifacts, replacing_file, write_json, write_table
from core.choices import check_choices
from core.data.label_budget import draw_budget
from core.data.prepared import open_prepared
from core.data.samples import Samples, concatenate
from core.evaluation.ledger import LedgerRun, build_ledger
from core.evaluation.ledger_plot import plot_ledger
from core.learners.base import Learner
from core.params import CompareParams, VerticalParams
from core.stages.train import learner_maker, make_transfer
from core.transfers import TRANSFERS
from core.transfers.base import TransferTask
from core.transfers.source_fits import SourceFits
from core.vertical import Vertical


def compare(vertical: Vertical, params: VerticalParams, artifacts: Artifacts, *, seed: int) -> None:
    """Write `ledger.json`, its curves and its picture.

    Every method sees the same labels in a draw (train and valid together are the pool); none sees a test row.
    A method is the name of a transfer, or `transfer:learner` for another learner than the one in params.
    """
    check_choices(vertical, params)
    opened = open_prepared(vertical, params, artifacts, splits=("source_train", "source_valid", "train", "valid"))
    test = open_prepared(vertical, params, artifacts, splits=("test",))["test"].labelled()
    pool = concatenate([opened["train"], opened["valid"]])
    source = concatenate([opened["source_train"], opened["source_valid"]])
    runs = []
    plan = list(_plan(params.compare, pool, source))
    runner = LedgerRunner(params, pool, source, test, seed=seed)
    started = time.perf_counter()
    for number, (budget, draw, method) in enumerate(plan, start=1):
        runs.append(runner.run(budget, draw, method))
        spent = time.perf_counter() - started
        left = spent / number * (len(plan) - number)
        print(
            f"compare: {number}/{len(plan)} {method} at {budget} labels, draw {draw}"
            f" ({spent:.0f} s, about {left:.0f} s left)",
            flush=True,
        )
    ledger = build_ledger(
        runs,
        test.targets,
        metric=vertical.metrics[0],
        positive_index=vertical.positive_index,
        baseline=params.compare.baseline,
        confidence=params.compare.confidence,
        num_bootstrap=params.compare.num_bootstrap,
        seed=seed,
        groups=test.groups if len(np.unique(test.groups.astype(str))) < len(test) else None,
    )
    ledger["target_domain"] = params.prepare.target_domain
    ledger["source_domains"] = list(params.prepare.source_domains)
    write_json(artifacts.path("compare", "ledger_metrics.json"), ledger)
    write_table(artifacts.path("compare", "ledger.csv"), pd.DataFrame(ledger["entries"]))
    with replacing_file(artifacts.path("compare", "ledger.png")) as temporary:
        plot_ledger(ledger).savefig(temporary, dpi=130, format="png")


def _plan(params: CompareParams, pool: Samples, source: Samples) -> Iterator[tuple[int | str, int, str]]:
    """(budget, draw, method) in the order in which they run; what cannot run is left out."""
    for budget in params.budgets:
        is_whole = budget == "all" or budget >= pool.num_labelled
        for draw in range(1 if is_whole else params.num_draws):
            for method in params.methods:
                transfer = TRANSFERS[method.split(":")[0]]
                if (transfer.needs_source and len(source) == 0) or (transfer.needs_target_labels and budget == 0):
                    continue
                yield ("all" if is_whole else budget), draw, method


class LedgerRunner:
    """Fits methods on draws of labels and scores the test rows; a source model is fitted once and shared."""

    def __init__(self, params: VerticalParams, pool: Samples, source: Samples, test: Samples, *, seed: int) -> None:
        self.params, self.pool, self.source, self.test, self.seed = params.train, pool, source, test, seed
        self._source_fits = SourceFits()
        self._makers: dict[str, Callable[[], Learner]] = {}

    def run(self, budget: int | str, draw: int, method: str) -> LedgerRun:
        """One cell of the ledger. Every method gets the same labels at the same budget and draw."""
        transfer_name, _, learner_name = method.partition(":")
        learner_name = learner_name or self.params.learner
        if learner_name not in self._makers:
            self._makers[learner_name] = learner_maker(self.params, learner_name, seed=self.seed)
        transfer = make_transfer(self.params, transfer_name)
        if hasattr(transfer, "source_fits"):
            transfer.source_fits = self._source_fits
        target = self.pool if budget == "all" else draw_budget(self.pool, int(budget), seed=self.seed + draw)
        started = time.perf_counter()
        fitted = transfer.fit(
            TransferTask(self.source, target, None, self._makers[learner_name], seed=self.seed + draw)
        )
        return LedgerRun(
            method=method,
            budget=budget,
            draw=draw,
            seed=self.seed + draw,
            probability=fitted.predict_probability(self.test),
            fit_seconds=time.perf_counter() - started,
            info={"selection": getattr(fitted, "selection_", None)},
        )
