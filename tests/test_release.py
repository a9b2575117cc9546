"""Gates: negative transfer never ships."""

import pytest

from core.evaluation.release import decide_release, standard_gates, transfer_gate

METRICS = {"auc": {"value": 0.8, "low": 0.75, "high": 0.85}, "ece": {"value": 0.03}}


def make_ledger(verdict, difference=0.02):
    def entry(method, found, gap):
        return {
            "method": method, "budget": "all", "verdict": found, "difference": gap,
            "difference_low": gap, "difference_high": gap,
        }  # fmt: skip

    return {
        "baseline": "target_only",
        "metric_title": "AUC",
        "confidence": 0.95,
        "entries": [entry("target_only", "baseline", 0.0), entry("pooled", verdict, difference)],
    }


def decide(ledger, method="pooled", **changes):
    options = {"four_fifths_ratios": {"age": 0.9}, "suspects_used": [], "is_export_equal": True} | changes
    metrics = options.pop("metrics", METRICS)
    return decide_release(standard_gates(metrics, ledger, method, **options))


def test_release_with_gain_is_shipped():
    assert decide(make_ledger("gain"))["decision"] == "ship"


def test_release_with_negative_transfer_is_refused():
    assert decide(make_ledger("negative transfer", -0.03))["decision"] == "refuse"


def test_release_of_the_baseline_needs_no_gain():
    assert decide(make_ledger("negative transfer", -0.03), method="target_only")["decision"] == "ship"


@pytest.mark.parametrize(
    ("changes", "decision"),
    [
        ({"metrics": {**METRICS, "auc": {"value": 0.55, "low": 0.49, "high": 0.6}}}, "refuse"),
        ({"metrics": {**METRICS, "ece": {"value": 0.2}}}, "hold"),
        ({"suspects_used": ["recoveries"]}, "hold"),
        ({"four_fifths_ratios": {"age": 0.7}}, "hold"),
        ({"is_export_equal": False}, "refuse"),
    ],
)
def test_release_failed_gate_decides(changes, decision):
    found = decide(make_ledger("gain"), **changes)
    assert found["decision"] == decision
    assert [gate["is_passed"] for gate in found["gates"]].count(False) == 1


def test_transfer_gate_method_without_entry_is_held():
    gate = transfer_gate(make_ledger("gain"), "stacked_score")
    assert (gate.is_passed, gate.consequence) == (False, "hold")
