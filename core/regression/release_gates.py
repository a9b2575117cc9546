"""May this model of a number be released? Gates with number, threshold and reason; negative transfer never passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.evaluation.release import Gate, transfer_gate
from core.regression.quantity import in_unit, number_text

BAND_SIGNIFICANCE = 0.025  # one-sided, as the lower end of a 95 % interval


def value_gates(
    metrics: Mapping[str, Any],
    ledger: Mapping[str, Any],
    transfer: str,
    regressor: str,
    *,
    flagged_protected: Sequence[str],
    num_judged_groups: int,
    suspects_used: Sequence[str],
    is_export_equal: bool | None = None,
) -> list[Gate]:
    """The gates that every vertical with a predicted number has; metrics and ledger as the stages wrote them."""
    gates = [
        transfer_gate(ledger, ledger_method(ledger, transfer, regressor)),
        naive_gate(metrics),
        band_gate(metrics["band"]),
        slice_gate(flagged_protected, num_judged_groups),
        Gate(
            "leakage",
            ", ".join(suspects_used) or "no strong suspect is a feature",
            "no strong suspect is a feature",
            not suspects_used,
            "hold",
            "A column that nearly decides the value is often known only afterwards.",
        ),
    ]
    if is_export_equal is not None:
        gates.append(
            Gate(
                "export parity",
                "equal" if is_export_equal else "DIFFERENT",
                "equal on every test row",
                is_export_equal,
                "refuse",
                "What runs elsewhere must predict as what was validated here.",
            )
        )
    return gates


def ledger_method(ledger: Mapping[str, Any], transfer: str, regressor: str) -> str:
    """The ledger's name of the trained method: `transfer`, or `transfer:regressor` where only that is there."""
    known = {entry["method"] for entry in ledger["entries"]}
    full = f"{transfer}:{regressor}"
    return full if transfer not in known and full in known else transfer


def naive_gate(metrics: Mapping[str, Any]) -> Gate:
    """Better than the median of the training labels, beyond chance?"""
    name, wanted = "better than the median", "gain's lower bound > 0"
    naive = metrics["naive"]
    if naive is None:
        reason = "Without target training labels nobody knows what one number for all rows would do."
        return Gate(name, "no target training label", wanted, False, "hold", reason)
    gain, unit = naive["gain"], metrics["unit"]
    low, high = (number_text(gain[end], sign=True) for end in ("low", "high"))
    return Gate(
        name,
        f"error lower by {in_unit(gain['value'], unit)} [{low}, {high}]",
        wanted,
        gain["low"] > 0,
        "refuse",
        f"One number for all rows, {in_unit(naive['value'], unit)}, errs by {in_unit(naive['mae']['value'], unit)}.",
    )


def band_gate(band: Mapping[str, Any] | None) -> Gate:
    """Does the band miss more often than told, beyond the chance of its own fitting and of the test rows?"""
    wanted = f"no more misses than told (p >= {BAND_SIGNIFICANCE})"
    reason = "Whoever plans with the band relies on its share of misses."
    if band is None:
        reason = "Without a band nobody knows how far off a value may be; bring more validation labels."
        return Gate("band coverage", "no band", "a band", False, "hold", reason)
    return Gate(
        "band coverage",
        f"{band['share']:.1%} of {band['num_units']} {band['units']} [{band['low']:.1%}, {band['high']:.1%}],"
        f" {100 * (1 - band['error_rate']):.4g} % told (p {band['p_value']:.3f})",
        wanted,
        band["p_value"] >= BAND_SIGNIFICANCE,
        "hold",
        reason,
    )


def slice_gate(flagged_protected: Sequence[str], num_judged_groups: int) -> Gate:
    """Do errors of a protected group differ from those of the rest beyond chance?"""
    none_found = f"none of {num_judged_groups} groups differs" if num_judged_groups else "no group to judge"
    return Gate(
        "protected groups",
        "; ".join(flagged_protected) or none_found,
        "no group's errors differ beyond chance",
        not flagged_protected,
        "hold",
        "Values that err more, or to one side, for a protected group need a person's judgement and a written reason.",
    )
