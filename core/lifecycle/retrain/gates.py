"""May the challenger take the champion's place? One gate a question, with numbers that a model owner can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.errors import BadInputError
from core.evaluation.multiple_testing import holm
from core.evaluation.release import Gate, decide_release
from core.lifecycle.retrain.comparisons import COST, Comparison
from core.lifecycle.retrain.gate_limits import GateLimits
from core.lifecycle.retrain.report_words import metric_title

# A smaller difference is rounding, not loss: scores saved as float32 carry seven digits.
SMALLEST_DIFFERENCE = 1e-6
NO_REGRESSION_SET = "not measured: set prepare.split.regression_fraction"


def standing(gates: Sequence[Gate]) -> dict[str, Any]:
    """`{decision: ship|hold|refuse, headline, gates}` as of a release; ship: the challenger may be promoted."""
    return decide_release(gates)


def promotion_gates(
    fresh: Sequence[Comparison],
    regression: Sequence[Comparison] | None,
    limits: GateLimits,
    *,
    latency_ratio: float | None,
) -> list[Gate]:
    """Gates of both hold-outs, each as `compare_models` gives it, of the slices, the latency and, if asked, of a gain.

    A loss beyond chance is refused. A loss over its limit that may be chance is held for a person, as is a hold-out too
    small to tell. What was not measured passes and says so. latency_ratio: challenger's time / the champion's.

    Raises:
        BadInputError: comparisons without one of all rows of the fresh hold-out.
    """
    whole = [one for one in fresh if not one.slice]
    if not whole:
        raise BadInputError(
            "There is no comparison on the fresh hold-out, so nothing to promote a challenger on.",
            repair="Pass what compare_models returns for it.",
        )
    gates = [_comparison_gate(one, limits) for one in whole]
    if regression:
        gates += [_comparison_gate(one, limits) for one in regression if not one.slice]
    else:
        reason = "Rows that no model ever learns from would show whether the challenger has forgotten anything."
        gates.append(Gate("regression set", NO_REGRESSION_SET, "no loss beyond chance", True, "refuse", reason))
    gates.append(_slice_gate([*fresh, *(regression or ())], limits))
    gates.append(_latency_gate(latency_ratio, limits))
    if limits.needs_gain:
        gates.append(_gain_gate(whole, limits))
    return gates


def _comparison_gate(one: Comparison, limits: GateLimits) -> Gate:
    """Of all rows of a hold-out."""
    max_loss = limits.max_loss(one.metric, one.champion)
    name, value = f"{one.rows}: {_title(one.metric)}", _told(one, limits)
    wanted = f"no loss beyond chance, and none over {max_loss:g}"
    problem = one.too_few(limits)
    if problem:
        return Gate(name, value, wanted, False, "hold", problem)
    if one.difference is None or one.low is None or one.high is None:
        return Gate(
            name, value, wanted, False, "hold", "The difference cannot be told on these rows: a person decides."
        )
    rows = f"{one.num_rows:,} rows"
    if one.high < -SMALLEST_DIFFERENCE:
        reason = f"The challenger is worse than the champion by more than chance on {rows}."
        return Gate(name, value, wanted, False, "refuse", reason)
    if one.difference < -max_loss - SMALLEST_DIFFERENCE:
        reason = f"A loss of {-one.difference:.4f} on {rows} may be chance, but is over {max_loss:g}: a person decides."
        return Gate(name, value, wanted, False, "hold", reason)
    better = "better by more than chance" if one.low > SMALLEST_DIFFERENCE else "not worse by more than chance"
    return Gate(name, value, wanted, True, "refuse", f"The challenger is {better} on {rows}.")


def _slice_gate(compared: Sequence[Comparison], limits: GateLimits) -> Gate:
    """The worst slice of both hold-outs; a hold-out that is too small as a whole tells nothing by slice."""
    small = {one.rows for one in compared if not one.slice and one.too_few(limits)}
    slices = [one for one in compared if one.slice]
    told = [one for one in slices if one.rows not in small and one.difference is not None and one.p_value is not None]
    wanted = f"no slice with a loss beyond chance or over {limits.slice_words}"
    left_out = f"{len(slices) - len(told)} of {len(slices)} slices are too small to compare"
    if not told:
        value = f"not measured: {left_out}" if slices else "not measured: the domain names no slices"
        reason = f"A slice needs {limits.needed_of_a_slice}, in a hold-out that is large enough itself."
        return Gate("slices", value, wanted, True, "refuse", reason)
    refused = [one for one in told if _is_worse(one, limits)]
    worst = min(refused or told, key=lambda one: one.difference)
    value = f"worst of {len(told)}: {worst.slice} ({worst.rows}, {worst.num_rows:,} rows), {_told(worst, limits)}, "
    value += f"adjusted p {worst.p_value:.2g}" + (f"; {left_out}" if len(told) < len(slices) else "")
    if refused:
        names = ", ".join(f"{one.slice} ({one.rows})" for one in refused)
        reason = f"Worse by more than chance, over all slices of a hold-out, in {names}."
        return Gate("slices", value, wanted, False, "refuse", reason)
    if worst.difference < -limits.max_loss_of_slice(worst.champion) - SMALLEST_DIFFERENCE:
        reason = f"A loss of {-worst.difference:.4f} may be chance, but is over the limit: a person decides."
        return Gate("slices", value, wanted, False, "hold", reason)
    return Gate("slices", value, wanted, True, "refuse", "No slice is worse by more than chance.")


def _latency_gate(ratio: float | None, limits: GateLimits) -> Gate:
    wanted = f"at most {limits.max_latency_ratio:g} times the champion's time of a prediction"
    reason = "A slower model may be worth it, but the owner of the service has to know."
    if ratio is None:
        return Gate("latency", "not measured", wanted, True, "hold", reason)
    is_passed = ratio <= limits.max_latency_ratio
    return Gate("latency", f"{ratio:.2f} times the champion's time", wanted, is_passed, "hold", reason)


def _gain_gate(whole: Sequence[Comparison], limits: GateLimits) -> Gate:
    """Is one of the measures of the fresh hold-out better by more than chance, corrected for their number?"""
    adjusted = holm(np.array([np.nan if one.p_value is None else one.p_value for one in whole]))
    better = [
        f"{_title(one.metric)} {one.difference:+.4f}, adjusted p {p_value:.2g}"
        for one, p_value in zip(whole, adjusted, strict=True)
        if not one.too_few(limits)
        and one.low is not None
        and one.low > SMALLEST_DIFFERENCE
        and p_value < 1 - limits.confidence
    ]
    return Gate(
        "gain",
        "; ".join(better) or f"none of {', '.join(_title(one.metric) for one in whole)} is better by more than chance",
        "a gain beyond chance on the fresh hold-out",
        bool(better),
        "hold",
        "A change of model has its own risk: retrain.gates.needs_gain asks that it pays.",
    )


def _is_worse(one: Comparison, limits: GateLimits) -> bool:
    """Of a slice whose difference is told."""
    return one.difference < -SMALLEST_DIFFERENCE and one.p_value < 1 - limits.confidence


def _told(one: Comparison, limits: GateLimits) -> str:
    """Both models, and the gain with its interval."""
    if one.difference is None:
        return "not measured"
    text = f"challenger {one.challenger:.4f}, champion {one.champion:.4f}, gain {one.difference:+.4f}"
    if one.low is None:
        return f"{text} without an interval"
    return f"{text}, {100 * limits.confidence:g}% interval {one.low:+.4f} to {one.high:+.4f}"


def _title(metric: str) -> str:
    return metric_title(metric) if metric != COST else "cost per case"
