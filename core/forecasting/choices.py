"""Are the names in a forecasting section known, and do they fit together? Asked before any work is done."""

from __future__ import annotations

import core.forecasting.methods  # noqa: F401 - registers all
from core.errors import BadParamsError
from core.forecasting.forecaster import FORECASTERS
from core.forecasting.params import SeriesParams
from core.params import parse_section
from core.vertical import Vertical


def check_series_choices(vertical: Vertical, params: SeriesParams) -> None:
    """Refuse unknown methods and options, and combinations that cannot work.

    Raises:
        BadParamsError: the first problem, with the nearest name or the repair.
    """
    parse_section(vertical.options_type, params.options, where=f"{vertical.name}.options")
    for name, options in params.train.method_options.items():
        FORECASTERS[name](options)
    for name in (params.train.method, params.evaluate.rival, *params.compare.methods):
        _ = FORECASTERS[name]
    if params.compare.baseline not in params.compare.methods:
        raise BadParamsError(
            f"compare.baseline '{params.compare.baseline}' is not among compare.methods.",
            repair=f"Add it to {list(params.compare.methods)}.",
        )
    if FORECASTERS[params.train.method].transfers and not params.prepare.source_domains:
        raise BadParamsError(
            f"train.method '{params.train.method}' needs a source and prepare.source_domains is empty.",
            repair="Name source domains, or choose a method that learns from the target alone, such as gjr_garch.",
        )
