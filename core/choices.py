"""Are the names in params.yaml known, and do they fit together? Asked before any work is done."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from core.errors import BadParamsError, did_you_mean
from core.learners import LEARNERS
from core.learners.aligned import require_descriptors
from core.params import VerticalParams, parse_section
from core.transfers import TRANSFERS
from core.transfers.continued_pretraining import text_options
from core.transfers.continued_training import can_continue
from core.transfers.fixmatch import check_semi_supervised
from core.transfers.self_supervised import check_adaptable
from core.vertical import Vertical

# Keywords of a transfer's constructor that the pipeline fills, or another key of params.yaml.
FILLED = ("source_fits", "folder", "transfer_options")
ELSEWHERE = {("auto", "candidates"): "train.candidates"}


def check_choices(vertical: Vertical, params: VerticalParams) -> None:
    """Refuse unknown transfers, learners and options, and combinations that cannot work.

    Raises:
        BadParamsError: the first problem, with the nearest name or the repair.
    """
    parse_section(vertical.options_type, params.options, where=f"{vertical.name}.options")
    for name, options in params.train.learner_options.items():
        LEARNERS[name](options)
    for name, options in params.train.transfer_options.items():
        check_transfer_options(name, options)
    _check_pair(params.train.transfer, params.train.learner, params)
    for name in params.train.candidates:
        _ = TRANSFERS[name]  # auto itself passes over what does not suit the learner, and says so
    for method in params.compare.methods:
        transfer, _, learner = method.partition(":")
        _check_pair(transfer, learner or params.train.learner, params)
    if params.compare.baseline not in params.compare.methods:
        raise BadParamsError(
            f"compare.baseline '{params.compare.baseline}' is not among compare.methods.",
            repair=f"Add it to {list(params.compare.methods)}.",
        )
    if TRANSFERS[params.train.transfer].needs_source and not params.prepare.source_domains:
        raise BadParamsError(
            f"train.transfer '{params.train.transfer}' needs a source and prepare.source_domains is empty.",
            repair="Name source domains, or set train.transfer to target_only.",
        )


def _check_pair(transfer: str, learner: str, params: VerticalParams) -> None:
    """Whether a transfer can work with a kind of learner."""
    _ = TRANSFERS[transfer]
    fresh = LEARNERS[learner](params.train.learner_options.get(learner, {}))
    if transfer == "continued_training" and not can_continue(fresh):
        raise BadParamsError(
            f"Learner '{learner}' cannot be trained on from a source model.",
            repair="With continued_training choose boosted_trees, logistic_regression, image_probe, "
            "image_classifier, or a blend of equal weights.",
        )
    if transfer in ("aligned", "anomaly_guided"):
        require_descriptors(fresh)
    if transfer == "continued_pretraining":
        text_options(fresh)
    if transfer == "self_supervised":
        check_adaptable(fresh)
    if transfer == "fixmatch":
        check_semi_supervised(fresh)


def check_transfer_options(name: str, options: Mapping[str, Any]) -> None:
    """Whether the transfer's constructor takes these options, by name and by type.

    Raises:
        BadParamsError: there is no such transfer or option (the nearest is named), or a value that it cannot take.
    """
    transfer = TRANSFERS[name]
    known = [key for key in inspect.signature(transfer).parameters if key not in FILLED]
    known = [key for key in known if (name, key) not in ELSEWHERE]
    # A transfer without options has `object`'s constructor, which has no hints.
    hints = get_type_hints(transfer.__init__) if known else {}
    for key, value in options.items():
        where = f"train.transfer_options.{name}.{key}"
        if (name, key) in ELSEWHERE:
            raise BadParamsError(f"{where} is no option.", repair=f"Set {ELSEWHERE[name, key]} instead.")
        if key not in known:
            repair = did_you_mean(key, known) if known else f"Transfer '{name}' has no options; leave it out."
            raise BadParamsError(f"Unknown option '{where}'.", repair=repair)
        try:
            TypeAdapter(hints[key]).validate_python(value)
        except ValidationError as error:
            told = "; ".join(issue["msg"] for issue in error.errors())
            raise BadParamsError(f"{where}: {told}; got {value!r}.") from None
    transfer(**options)
