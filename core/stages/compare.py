"""Stage `compare`: the transfer ledger - methods x label budgets x draws, all scored on the same test rows."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pandas as pd

from core.artifacts import Artifacts, replacing_file, write_json, write_table
from core.data.label_budget import draw_budget
from core.data.prepared import open_prepared
from core.data.samples import Samples, concatenate
from core.errors import BadParamsError
from core.evaluation.ledger import LedgerRun, build_ledger
from core.evaluation.ledger_plot import plot_ledger
from core.params import CompareParams, VerticalParams
from core.stages.train import fit_transfer
from core.transfers import TRANSFERS
from core.vertical import Vertical


def compare(vertical: Vertical, params: VerticalParams, artifacts: Artifacts, *, seed: int) -> None:
    """Write `ledger.json`, its curves and its picture.

    Every method sees the same labels in a draw (train and valid together are the pool); none sees a test row.
    A method is the name of a transfer, or `transfer:learner` for another learner than the one in params.
    """
    opened = open_prepared(vertical, params, artifacts, splits=("source_train", "source_valid", "train", "valid"))
    test = open_prepared(vertical, params, artifacts, splits=("test",))["test"].labelled()
    pool = concatenate([opened["train"], opened["valid"]])
    source = concatenate([opened["source_train"], opened["source_valid"]])
    runs = []
    plan = list(_plan(params.compare, pool, source))
    started = time.perf_counter()
    for number, (budget, draw, method) in enumerate(plan, start=1):
        runs.append(_run(vertical, params, pool, source, test, budget, draw, method, seed=seed))
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
    )
    ledger["target_domain"] = params.prepare.target_domain
    ledger["source_domains"] = list(params.prepare.source_domains)
    write_json(artifacts.path("compare", "ledger_metrics.json"), ledger)
    write_table(artifacts.path("compare", "ledger.csv"), pd.DataFrame(ledger["entries"]))
    with replacing_file(artifacts.path("compare", "ledger.png")) as temporary:
        plot_ledger(ledger).savefig(temporary, dpi=130, format="png")


def _plan(params: CompareParams, pool: Samples, source: Samples) -> Iterator[tuple[int | str, int, str]]:
    """(budget, draw, method) in the order in which they run; what cannot run is left out."""
    if params.baseline not in params.methods:
        raise BadParamsError(
            f"compare.baseline '{params.baseline}' is not among compare.methods {list(params.methods)}."
        )
    for budget in params.budgets:
        is_whole = budget == "all" or budget >= pool.num_labelled
        for draw in range(1 if is_whole else params.num_draws):
            for method in params.methods:
                transfer = TRANSFERS[method.split(":")[0]]
                if (transfer.needs_source and len(source) == 0) or (transfer.needs_target_labels and budget == 0):
                    continue
                yield ("all" if is_whole else budget), draw, method


def _run(
    vertical: Vertical,
    params: VerticalParams,
    pool: Samples,
    source: Samples,
    test: Samples,
    budget: int | str,
    draw: int,
    method: str,
    *,
    seed: int,
) -> LedgerRun:
    """Fit one method with one draw of labels and score the test rows."""
    transfer, _, learner = method.partition(":")
    target = pool if budget == "all" else draw_budget(pool, int(budget), seed=seed + draw)
    nothing = pool.take(np.zeros(len(pool), dtype=bool))
    opened = {"source_train": source, "train": target, "valid": nothing}
    started = time.perf_counter()
    fitted = fit_transfer(params.train, opened, seed=seed + draw, transfer=transfer, learner=learner)
    return LedgerRun(
        method=method,
        budget=budget,
        draw=draw,
        seed=seed + draw,
        probability=fitted.predict_probability(test),
        fit_seconds=time.perf_counter() - started,
        info={"selection": getattr(fitted, "selection_", None)},
    )
