"""May this model be released? Gates with number, threshold and reason; negative transfer never passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

MAX_CALIBRATION_ERROR = 0.10
FOUR_FIFTHS = 0.8
DECISIONS = {
    "ship": "Ready to release: every gate is passed",
    "hold": "Hold for a person: a gate asks for judgement",
    "refuse": "Refused: this model must not be released",
}


@dataclass(frozen=True)
class Gate:
    """One question. consequence: what a failure means, `hold` or `refuse`."""

    name: str
    value: Any
    wanted: str
    is_passed: bool
    consequence: str
    reason: str


def decide_release(gates: Sequence[Gate]) -> dict[str, Any]:
    """`{decision: ship|hold|refuse, headline, gates}`; the worst failed gate decides."""
    failed = {gate.consequence for gate in gates if not gate.is_passed}
    decision = "refuse" if "refuse" in failed else "hold" if failed else "ship"
    return {
        "decision": decision,
        "headline": DECISIONS[decision],
        "gates": [asdict(gate) for gate in gates],
    }


def transfer_gate(ledger: Mapping[str, Any], method: str) -> Gate:
    """The champion's verdict at the largest label budget in the ledger, against the ledger's baseline."""
    baseline = ledger["baseline"]
    if method == baseline:
        return Gate(
            "transfer",
            "none used",
            "no negative transfer",
            True,
            "refuse",
            "The model is the baseline itself: nothing was moved, so nothing can have done harm.",
        )
    entries = [entry for entry in ledger["entries"] if entry["method"] == method]
    if not entries:
        return Gate(
            "transfer",
            f"'{method}' is not in the ledger",
            "a verdict",
            False,
            "hold",
            "Without a ledger entry there is no proof; add the method to compare.methods.",
        )
    entry = entries[-1]
    found = (
        f"{entry['verdict']} at {entry['budget']} labels "
        f"({entry['difference']:+.3f}, 95 % {entry['difference_low']:+.3f} to {entry['difference_high']:+.3f})"
    )
    return Gate(
        "transfer",
        found,
        "no negative transfer",
        entry["verdict"] != "negative transfer",
        "refuse",
        f"Against {baseline} on the same split and the same labels.",
    )


def standard_gates(
    metrics: Mapping[str, Any],
    ledger: Mapping[str, Any],
    method: str,
    *,
    four_fifths_ratios: Mapping[str, float],
    suspects_used: Sequence[str],
) -> list[Gate]:
    """The gates that every binary vertical has; metrics as the evaluate stage wrote them."""
    auc, error = metrics["auc"], metrics["ece"]["value"]
    gates = [
        transfer_gate(ledger, method),
        Gate(
            "better than chance",
            f"AUC {auc['value']:.3f}, lower bound {auc['low']:.3f}",
            "lower bound > 0.5",
            auc["low"] > 0.5,
            "refuse",
            "A model that may be a coin must not decide.",
        ),
        Gate(
            "calibration",
            error,
            f"error <= {MAX_CALIBRATION_ERROR}",
            error <= MAX_CALIBRATION_ERROR,
            "hold",
            "Prices and cut-offs use the probability itself, not only its order.",
        ),
        Gate(
            "leakage",
            ", ".join(suspects_used) or "no suspect is a feature",
            "no suspect is a feature",
            not suspects_used,
            "hold",
            "A column that nearly decides the label is often known only afterwards.",
        ),
    ]
    worst = min(four_fifths_ratios.items(), key=lambda item: item[1], default=None)
    if worst is not None:
        gates.append(
            Gate(
                "four-fifths rule",
                f"{worst[1]:.2f} by {worst[0]}",
                f">= {FOUR_FIFTHS}",
                worst[1] >= FOUR_FIFTHS,
                "hold",
                "Adverse impact on a protected group needs a person's judgement and a written reason.",
            )
        )
    return gates
