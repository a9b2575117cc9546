"""Which method is walked with how many days of history."""

from __future__ import annotations

from core.forecasting.forecaster import FORECASTERS
from core.forecasting.params import SeriesParams
from core.forecasting.walking import Budget


def ledger_plan(params: SeriesParams, *, has_sources: bool, num_history: int) -> list[tuple[Budget, str]]:
    """(budget, method) in the order in which they run; what needs a source is left out where there is none.

    A budget of as many days as there are before the first test day, or more, is left out where `all` is asked for.
    """
    budgets = [b for b in params.compare.budgets if b == "all" or b < num_history]
    methods = [m for m in params.compare.methods if has_sources or not FORECASTERS[m].transfers]
    return [(budget, method) for budget in budgets or ["all"] for method in methods]
