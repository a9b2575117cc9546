"""May the new forecaster take the champion's place? One gate a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.evaluation.release import Gate
from core.forecasting.retrain.refitting import is_worse, needed_days
from core.forecasting.retrain.series_retrain_params import SeriesGateLimits
from core.forecasting.words import in_days


def refitting_gates(
    compared: Sequence[Mapping[str, Any]], horizons: Sequence[int], limits: SeriesGateLimits
) -> list[Gate]:
    """One a horizon, of what `compare_refitted` gives in the horizons' order.

    Worse beyond chance is refused; a loss over its limit that may be chance is held for a person. What was not
    measured passes and says so: a champion of yesterday has no days to be judged on.
    """
    wanted = f"no loss beyond chance, and none over {limits.max_loss:g}"
    gates = []
    for one, days in zip(compared, horizons, strict=True):
        name = f"refitting, {in_days(days)} ahead"
        if one["difference"] is None:
            value = f"not measured: {one['num_rows']} days whose {in_days(days)} ahead are known"
            reason = f"With {needed_days(days, limits)} of them it is told whether fitting again helps."
            gates.append(Gate(name, value, wanted, True, "refuse", reason))
            continue
        value = (
            f"refitted {one['challenger']:.4f}, champion {one['champion']:.4f}, gain {one['difference']:+.4f},"
            f" {100 * limits.confidence:g}% interval {one['low']:+.4f} to {one['high']:+.4f}"
        )
        days_told = f"{one['num_rows']:,} days since the champion"
        if is_worse(one, limits):
            reason = f"Fitting again is worse than leaving the champion as it is, by more than chance, on {days_told}."
            gates.append(Gate(name, value, wanted, False, "refuse", reason))
        elif one["difference"] < -limits.max_loss:
            reason = f"A loss of {-one['difference']:.4f} on {days_told} may be chance, but is over the limit."
            gates.append(Gate(name, value, wanted, False, "hold", f"{reason} A person decides."))
        else:
            reason = f"Fitting again is not worse than the champion as it is by more than chance, on {days_told}."
            gates.append(Gate(name, value, wanted, True, "refuse", reason))
    return gates


def newest_forecast_gate(
    challenger: Mapping[int, float], champion: Mapping[int, float] | None, limits: SeriesGateLimits
) -> Gate:
    """Of the newest day: horizon -> variance in percent^2; None where there is no champion to hold it against."""
    wanted = f"above 0, finite, and within a factor of {limits.max_factor:g} of the champion's"
    reason = "Whatever the tests of the past say, this is what would be used tomorrow."
    wrong = [days for days, value in challenger.items() if not (np.isfinite(value) and value > 0)]
    if wrong:
        value = f"no forecast {', '.join(in_days(days) for days in wrong)} ahead"
        return Gate("newest forecast", value, wanted, False, "refuse", reason)
    if champion is None:
        told = ", ".join(f"{value:.3g} %^2 {in_days(days)} ahead" for days, value in challenger.items())
        return Gate("newest forecast", told, wanted, True, "refuse", "There is no champion to hold it against.")
    ratios = {days: challenger[days] / champion[days] for days in challenger if days in champion}
    value = ", ".join(f"{ratio:.2f} times {in_days(days)} ahead" for days, ratio in ratios.items())
    is_near = all(1 / limits.max_factor <= ratio <= limits.max_factor for ratio in ratios.values())
    return Gate("newest forecast", value or "no horizon in common", wanted, is_near and bool(ratios), "refuse", reason)


def tails_gate(tails: Mapping[str, Any]) -> Gate:
    """Value at Risk and shortfall of the challenger, as `read_tails` gives them: finite, and a loss each."""
    is_sound = True
    for told in tails["tails"].values():
        at_risk, shortfall = np.asarray(told["value_at_risk"], float), np.asarray(told["shortfall"], float)
        is_sound &= bool(np.isfinite(at_risk).all() and np.isfinite(shortfall).all())
        is_sound &= bool((at_risk < 0).all() and (shortfall <= at_risk).all())
    return Gate(
        "newest Value at Risk",
        "sound" if is_sound else "NOT sound",
        "finite, below 0, and the shortfall not above it",
        is_sound,
        "refuse",
        "A limit that is no loss limits nothing.",
    )


def market_gate(champion: str, target: str) -> Gate:
    """Of a champion that was fitted for another market."""
    return Gate(
        "market",
        f"the champion is of '{champion}', the challenger of '{target}'",
        "the same market",
        False,
        "hold",
        "Forecasts of two markets cannot be compared: a person decides.",
    )
