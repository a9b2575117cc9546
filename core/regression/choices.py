"""Are the names in the section of a predicted number known, and do they fit together? Asked before any work."""

from __future__ import annotations

import core.regression.regressors
import core.regression.transfers  # noqa: F401 - both register all
from core.errors import BadParamsError
from core.params import parse_section
from core.regression.metrics import REGRESSION_METRICS
from core.regression.params import RegressionParams
from core.regression.regressor import REGRESSORS
from core.regression.transfer import REGRESSION_TRANSFERS
from core.vertical import Vertical

# Regressors that a transfer makes of another one; alone they lack the rows or the domain that they are about.
MADE_BY_TRANSFER = {"source_offset": "source_offset", "domain_tagged": "pooled"}
ELSEWHERE = {"candidates": "train.candidates", "transfer_options": "train.transfer_options"}  # options of `auto`


def check_regression_choices(vertical: Vertical, params: RegressionParams) -> None:
    """Refuse unknown transfers, regressors, metrics and options, and combinations that cannot work.

    Raises:
        BadParamsError: the first problem, with the nearest name or the repair.
    """
    parse_section(vertical.options_type, params.options, where=f"{vertical.name}.options")
    train = params.train
    for name, options in train.regressor_options.items():
        REGRESSORS[name](options)
    for name, options in train.transfer_options.items():
        told = [option for option in options if name == "auto" and option in ELSEWHERE]
        if told:
            where = f"train.transfer_options.auto.{told[0]}"
            raise BadParamsError(f"{where} is no option.", repair=f"Set {ELSEWHERE[told[0]]} instead.")
        REGRESSION_TRANSFERS[name](options)
    REGRESSION_TRANSFERS["auto"]({"candidates": train.candidates})
    for method in (train.transfer, *params.compare.methods):
        _check_method(method, params)
    if ":" in train.transfer:
        raise BadParamsError(
            f"train.transfer '{train.transfer}' names a regressor.", repair="Set train.regressor instead."
        )
    _check_compare(params)


def _check_method(method: str, params: RegressionParams) -> None:
    """Whether `transfer` or `transfer:regressor` can be fitted on the domains that are named."""
    transfer, _, regressor = method.partition(":")
    regressor = regressor or params.train.regressor
    _ = REGRESSION_TRANSFERS[transfer], REGRESSORS[regressor]
    if regressor in MADE_BY_TRANSFER:
        raise BadParamsError(
            f"Regressor '{regressor}' is made by a transfer and cannot be chosen (method '{method}').",
            repair=f"Choose transfer '{MADE_BY_TRANSFER[regressor]}' with another regressor, for example ridge.",
        )
    is_sourceless = not params.prepare.source_domains
    if method == params.train.transfer and REGRESSION_TRANSFERS[transfer].needs_source and is_sourceless:
        raise BadParamsError(
            f"train.transfer '{transfer}' needs a source and prepare.source_domains is empty.",
            repair="Name source domains, or set train.transfer to target_only.",
        )


def _check_compare(params: RegressionParams) -> None:
    """Whether the ledger has its baseline and a metric that values alone can be ranked by."""
    chosen = params.compare
    if chosen.baseline not in chosen.methods:
        raise BadParamsError(
            f"compare.baseline '{chosen.baseline}' is not among compare.methods.",
            repair=f"Add it to {list(chosen.methods)}.",
        )
    if REGRESSION_METRICS[chosen.metric].needs_band:
        known = [name for name in REGRESSION_METRICS if not REGRESSION_METRICS[name].needs_band]
        raise BadParamsError(
            f"compare.metric '{chosen.metric}' is about bands, which the runs of a ledger do not have.",
            repair=f"Choose from: {', '.join(known)}.",
        )
