"""May this model be released? Gates with number, threshold and reason; negative transfer never passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.evaluation.ledger import NO_BASELINE, champion_verdict

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
    """The champion's verdict in the ledger; without an entry there is no proof, and a person has to decide."""
    wanted = "no negative transfer"
    if all(entry["method"] != method for entry in ledger["entries"]):
        reason = "Without a ledger entry there is no proof; add the method to compare.methods."
        return Gate("transfer", f"'{method}' is not in the ledger", wanted, False, "hold", reason)
    verdict = champion_verdict(ledger, method)
    consequence = "refuse" if not verdict["is_promotable"] else "hold"
    is_passed = verdict["is_promotable"] and verdict["verdict"] != NO_BASELINE
    return Gate("transfer", verdict["verdict"], wanted, is_passed, consequence, verdict["reason"])


def standard_gates(
    metrics: Mapping[str, Any],
    ledger: Mapping[str, Any],
    method: str,
    *,
    four_fifths_ratios: Mapping[str, float],
    suspects_used: Sequence[str],
    is_export_equal: bool | None = None,
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
            ", ".join(suspects_used) or "no strong suspect is a feature",
            "no strong suspect is a feature",
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
    if is_export_equal is not None:
        gates.append(
            Gate(
                "export parity",
                "equal" if is_export_equal else "DIFFERENT",
                "equal on every test row",
                is_export_equal,
                "refuse",
                "What runs elsewhere must score as what was validated here.",
            )
        )
    return gates
