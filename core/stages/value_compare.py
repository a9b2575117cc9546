"""Stage `compare` of a vertical that predicts a number: methods x label budgets x draws on the same test rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from core.artifacts import Artifacts, replacing_file, write_json, write_table
from core.data.label_budget import draw_budget
from core.data.prepared import open_prepared, read_specs
from core.data.samples import Samples, concatenate
from core.errors import BadParamsError
from core.evaluation.ledger_runs import Budget
from core.regression.choices import check_regression_choices
from core.regression.ledger_figure import plot_value_ledger
from core.regression.params import RegressionCompareParams, RegressionParams, RegressionTrainParams
from core.regression.quantity import WITHOUT_UNIT, label_unit, with_unit
from core.regression.regression_ledger import RegressionRun, build_regression_ledger
from core.regression.regressor import Regressor
from core.regression.row_groups import row_groups
from core.regression.source_regressors import SourceRegressors
from core.regression.transfer import REGRESSION_TRANSFERS, RegressionTask
from core.stages.value_train import LEARNED, make_regression_transfer, regressor_maker
from core.vertical import Vertical

Draws = dict[tuple[Budget, int], Samples]


def value_compare(vertical: Vertical, params: RegressionParams, artifacts: Artifacts, *, seed: int) -> None:
    """Write `ledger_metrics.json`, its curves and its picture.

    Every method sees the same labels in a draw (train and valid together are the pool); none sees a label of a test
    row. A method is the name of a transfer, or `transfer:regressor` for another regressor than the one in params.

    Raises:
        BadParamsError: names that do not fit, or a budget whose labels nothing can be fitted on.
    """
    check_regression_choices(vertical, params)
    opened = open_prepared(vertical, params, artifacts, splits=LEARNED)
    test = open_prepared(vertical, params, artifacts, splits=("test",))["test"].labelled()
    pool = concatenate([opened["train"], opened["valid"]])
    source = concatenate([opened["source_train"], opened["source_valid"]])
    draws = label_draws(params.compare, pool, seed=seed)
    plan = list(_plan(params.compare, draws, has_source=len(source) > 0))
    unseen = test.with_labels(np.full(len(test), np.nan))
    runner = ValueLedgerRunner(params.train, draws, source, unseen, seed=seed)
    runs, started = [], time.perf_counter()
    for number, (budget, draw, method) in enumerate(plan, start=1):
        runs.append(runner.run(budget, draw, method))
        spent = time.perf_counter() - started
        left = spent / number * (len(plan) - number)
        print(
            f"compare: {number}/{len(plan)} {method} at {budget} labels, draw {draw}"
            f" ({spent:.0f} s, about {left:.0f} s left)",
            flush=True,
        )
    ledger = build_regression_ledger(
        runs,
        test.labels,
        metric=params.compare.metric,
        baseline=params.compare.baseline,
        confidence=params.compare.confidence,
        num_bootstrap=params.compare.num_bootstrap,
        seed=seed,
        groups=row_groups(test),
    )
    unit = label_unit(read_specs(artifacts)[params.prepare.target_domain])
    metric_unit = "" if params.compare.metric in WITHOUT_UNIT else unit
    ledger |= {
        "metric_title": with_unit(ledger["metric_title"], metric_unit),
        "metric_unit": metric_unit,
        "target_domain": params.prepare.target_domain,
        "source_domains": list(params.prepare.source_domains),
    }
    write_json(artifacts.path("compare", "ledger_metrics.json"), ledger)
    write_table(artifacts.path("compare", "ledger.csv"), pd.DataFrame(ledger["entries"]))
    with replacing_file(artifacts.path("compare", "ledger.png")) as temporary:
        plot_value_ledger(ledger).savefig(temporary, dpi=130, format="png")


def label_draws(params: RegressionCompareParams, pool: Samples, *, seed: int) -> Draws:
    """(budget, draw) -> the pool with the labels of that draw; "all" has one. Drawn before anything is fitted.

    Raises:
        BadParamsError: the labels of a budget are none or all equal, which a method with target labels cannot learn.
    """
    draws: Draws = {}
    for budget in params.budgets:
        if budget == "all" or budget >= pool.num_labelled:
            draws["all", 0] = pool
            continue
        for draw in range(params.num_draws):
            draws[budget, draw] = draw_budget(pool, budget, seed + draw, is_number=True)
    for (budget, draw), drawn in draws.items():
        known = drawn.labels[drawn.is_labelled]
        if budget != 0 and (len(known) == 0 or np.ptp(known) == 0):
            raise BadParamsError(
                f"compare.budgets: {budget} labels, draw {draw}, hold {len(np.unique(known))} different label(s);"
                " two are needed. Groups of up to twelve rows are labelled whole.",
                repair="Raise the budget, or bring more labels.",
            )
    return draws


def _plan(params: RegressionCompareParams, draws: Draws, *, has_source: bool) -> Iterator[tuple[Budget, int, str]]:
    """(budget, draw, method) in the order in which they run; what cannot run is left out."""
    for budget, draw in draws:
        for method in params.methods:
            transfer = REGRESSION_TRANSFERS[method.split(":")[0]]
            if (transfer.needs_source and not has_source) or (transfer.needs_target_labels and budget == 0):
                continue
            yield budget, draw, method


class ValueLedgerRunner:
    """Fits methods on draws of labels and predicts the test rows; a source model is fitted once and shared.

    test: rows whose labels are not needed and better not there.
    """

    def __init__(
        self, params: RegressionTrainParams, draws: Draws, source: Samples, test: Samples, *, seed: int
    ) -> None:
        self.params, self.draws, self.source, self.test, self.seed = params, draws, source, test, seed
        self._source_regressors = SourceRegressors()
        self._makers: dict[str, Callable[[], Regressor]] = {}

    def run(self, budget: Budget, draw: int, method: str) -> RegressionRun:
        """One cell of the ledger. Every method gets the same labels at the same budget and draw."""
        transfer_name, _, regressor_name = method.partition(":")
        regressor_name = regressor_name or self.params.regressor
        if regressor_name not in self._makers:
            self._makers[regressor_name] = regressor_maker(self.params, regressor_name, seed=self.seed)
        transfer = make_regression_transfer(self.params, transfer_name)
        if hasattr(transfer, "source_regressors"):
            transfer.source_regressors = self._source_regressors
        target = self.draws[budget, draw]
        started = time.perf_counter()
        task = RegressionTask(self.source, target, None, self._makers[regressor_name], seed=self.seed + draw)
        fitted = transfer.fit(task)
        return RegressionRun(
            method=method,
            budget=budget,
            draw=draw,
            seed=self.seed + draw,
            value=fitted.predict(self.test),
            fit_seconds=time.perf_counter() - started,
            info={"selection": fitted.selection_},
            test_ids=self.test.sample_ids,
        )
