"""Words that reports, gates and pages of forecasts share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.evaluation.ledger import GAIN, NEGATIVE, NO_DIFFERENCE


def in_days(num_days: int | str) -> str:
    """`1 day`, `5 days`."""
    return f"{num_days} day{'' if str(num_days) == '1' else 's'}"


def transfer_claims(ledger: Mapping[str, Any]) -> list[str]:
    """One sentence for each method that transfers: with which histories it gained, lost, or made no difference.

    Read from the ledger's verdicts of the mean of all horizons; nothing beyond them is claimed.
    """
    told: dict[tuple[str, str], dict[str, list[str]]] = {}
    for entry in ledger["entries"]:
        if entry["horizon"] == "mean" and entry.get("transfer_difference") is not None:
            by_verdict = told.setdefault((entry["method"], entry["from_scratch"]), {})
            by_verdict.setdefault(entry["verdict"], []).append(str(entry["budget"]))
    parts = {GAIN: "a gain", NO_DIFFERENCE: "no difference shown", NEGATIVE: "negative transfer"}
    return [
        f"{method} against {twin}: "
        + "; ".join(
            f"{words} with {' and '.join(by_verdict[verdict])} days"
            for verdict, words in parts.items()
            if verdict in by_verdict
        )
        + "."
        for (method, twin), by_verdict in told.items()
    ]
