"""May this forecaster be used? Gates with number, threshold and reason; negative transfer never passes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.evaluation.ledger import GAIN, NEGATIVE, NO_DIFFERENCE
from core.evaluation.release import Gate
from core.forecasting.forecast_ledger import ALL_HORIZONS
from core.forecasting.forecaster import FORECASTERS
from core.forecasting.words import in_days

SIGNIFICANCE = 0.01  # of a coverage test; several are read, so not 5 %


def series_gates(
    metrics: Mapping[str, Any], ledger: Mapping[str, Any], *, is_export_equal: bool | None = None
) -> list[Gate]:
    """The gates that every forecasting vertical has; metrics and ledger as the stages wrote them."""
    gates = [transfer_gate(ledger, metrics["method"], metrics["history"]), rival_gate(metrics)]
    gates += [coverage_gate(tail, horizon) for horizon, tail in _tails(metrics)]
    basel = next((tail["basel"] for _, tail in _tails(metrics) if "basel" in tail), None)
    if basel is not None:
        gates.append(
            Gate(
                "Basel traffic light",
                f"{basel['zone']}: {basel['exceeded_of_last_250']} of the last 250 days",
                "green",
                basel["zone"] == "green",
                "refuse" if basel["zone"] == "red" else "hold",
                "Days beyond the one-day 1 % Value at Risk; a supervisor counts them.",
            )
        )
    if is_export_equal is not None:
        gates.append(
            Gate(
                "export parity",
                "equal" if is_export_equal else "DIFFERENT",
                "equal on the last days",
                is_export_equal,
                "refuse",
                "What runs elsewhere must forecast as what was validated here.",
            )
        )
    return gates


def transfer_gate(ledger: Mapping[str, Any], method: str, history: Any) -> Gate:
    """Against the same method from scratch, with the history that is used, the mean of all horizons."""
    wanted = "no negative transfer"
    if not FORECASTERS[method].transfers:
        return Gate("transfer", "nothing was moved", wanted, True, "hold", "The method learns from the target alone.")
    found = [
        entry
        for entry in ledger["entries"]
        if (entry["method"], entry["horizon"], entry["budget"]) == (method, ALL_HORIZONS, history)
    ]
    if not found or found[0]["verdict"] not in {GAIN, NO_DIFFERENCE, NEGATIVE}:
        reason = "Without a ledger entry there is no proof; add the method and its twin to compare.methods."
        return Gate("transfer", f"'{method}' with {history} days is not in the ledger", wanted, False, "hold", reason)
    entry = found[0]
    reason = (
        f"{entry['verdict'].capitalize()} with {history} days: {entry['transfer_difference']:+.4f} in QLIKE against"
        f" {entry['from_scratch']}, {ledger['confidence']:.0%} interval {entry['transfer_difference_low']:+.4f} to"
        f" {entry['transfer_difference_high']:+.4f}."
    )
    return Gate("transfer", entry["verdict"], wanted, entry["verdict"] != NEGATIVE, "refuse", reason)


def rival_gate(metrics: Mapping[str, Any]) -> Gate:
    """At no horizon surely worse than the rival that needs no other market."""
    worst = min(metrics["horizons"].items(), key=lambda item: item[1]["gain_over_rival"]["high"])
    gain = worst[1]["gain_over_rival"]
    return Gate(
        f"no worse than {metrics['rival']}",
        f"{gain['difference']:+.4f} [{gain['low']:+.4f}, {gain['high']:+.4f}] at {in_days(worst[0])}",
        "no interval of the gain below 0",
        gain["high"] >= 0,
        "refuse",
        "A model that a line of econometrics beats is not worth its keep.",
    )


def coverage_gate(tail: Mapping[str, Any], horizon: str) -> Gate:
    """Is Value at Risk exceeded as often as told?"""
    return Gate(
        f"coverage {tail['level']:.0%}, {in_days(horizon)}",
        f"{tail['exceeded']} of {tail['rows']}, {tail['expected']:.0f} expected (p {tail['kupiec_p']:.3f})",
        f"p >= {SIGNIFICANCE}",
        tail["kupiec_p"] >= SIGNIFICANCE,
        "hold",
        "Limits and capital are set by it; too few exceedances cost capital, too many cost more.",
    )


def _tails(metrics: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(horizon, tail) for horizon, told in metrics["horizons"].items() for tail in told["tails_of_method"]]
