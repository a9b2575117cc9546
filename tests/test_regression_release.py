"""Gates of a predicted number: negative transfer never ships, and neither does what a median can do."""

import pytest

from core.evaluation.release import decide_release
from core.regression.release_gates import ledger_method, value_gates

GAIN = {"value": 100.0, "low": 40.0, "high": 160.0, "p_value": 0.01}
BAND = {
    "error_rate": 0.1, "units": "rows", "num_units": 200, "num_inside": 180, "share": 0.9, "low": 0.85, "high": 0.93,
    "p_value": 0.5,
}  # fmt: skip
METRICS = {"unit": "EUR", "naive": {"value": 4000.0, "mae": {"value": 800.0}, "gain": GAIN}, "band": BAND}


def make_ledger(verdict="gain", difference=20.0, method="source_offset"):
    def entry(name, found, gap):
        return {
            "method": name, "budget": "all", "verdict": found, "difference": gap, "difference_low": gap,
            "difference_high": gap,
        }  # fmt: skip

    return {
        "baseline": "target_only",
        "metric_title": "Mean absolute error (EUR)",
        "confidence": 0.95,
        "entries": [entry("target_only", "baseline", 0.0), entry(method, verdict, difference)],
    }


def decide(*, ledger=None, transfer="source_offset", metrics=None, **changes):
    options = {"flagged_protected": [], "num_judged_groups": 2, "suspects_used": [], "is_export_equal": True} | changes
    gates = value_gates({**METRICS, **(metrics or {})}, ledger or make_ledger(), transfer, "ridge", **options)
    return decide_release(gates)


def test_release_with_every_gate_passed_is_shipped_and_says_its_numbers():
    found = decide()
    assert found["decision"] == "ship"
    by_name = {gate["name"]: gate for gate in found["gates"]}
    assert list(by_name) == [
        "transfer", "better than the median", "band coverage", "protected groups", "leakage", "export parity",
    ]  # fmt: skip
    assert by_name["better than the median"]["value"] == "error lower by 100.0 EUR [+40.00, +160.0]"
    assert by_name["better than the median"]["reason"] == "One number for all rows, 4,000 EUR, errs by 800.0 EUR."
    assert by_name["band coverage"]["value"] == "90.0% of 200 rows [85.0%, 93.0%], 90 % told (p 0.500)"
    assert "+20.000 in Mean absolute error (EUR) against target_only" in by_name["transfer"]["reason"]


@pytest.mark.parametrize(
    ("changes", "failed", "decision"),
    [
        ({"ledger": make_ledger("negative transfer", -5.0)}, "transfer", "refuse"),
        ({"transfer": "pooled"}, "transfer", "hold"),
        ({"ledger": make_ledger("no baseline", None)}, "transfer", "hold"),
        (
            {"metrics": {"naive": {**METRICS["naive"], "gain": {**GAIN, "low": 0.0}}}},
            "better than the median",
            "refuse",
        ),
        (
            {"metrics": {"naive": {**METRICS["naive"], "gain": {**GAIN, "low": -9.0}}}},
            "better than the median",
            "refuse",
        ),
        ({"metrics": {"naive": None}}, "better than the median", "hold"),
        ({"metrics": {"band": {**BAND, "p_value": 0.0249}}}, "band coverage", "hold"),
        ({"metrics": {"band": None}}, "band coverage", "hold"),
        ({"flagged_protected": ["sex = f (mean_error)"]}, "protected groups", "hold"),
        ({"suspects_used": ["recoveries"]}, "leakage", "hold"),
        ({"is_export_equal": False}, "export parity", "refuse"),
    ],
)
def test_release_failed_gate_decides(changes, failed, decision):
    found = decide(**changes)
    assert found["decision"] == decision
    assert [gate["name"] for gate in found["gates"] if not gate["is_passed"]] == [failed]


@pytest.mark.parametrize(
    "changes",
    [
        {"ledger": make_ledger("no difference", -1.0)},
        {"ledger": make_ledger("negative transfer", -5.0), "transfer": "target_only"},  # the baseline itself
        {"metrics": {"band": {**BAND, "p_value": 0.025}}},
        {"num_judged_groups": 0},
        {"is_export_equal": None},
    ],
)
def test_release_of_what_does_no_harm_is_shipped(changes):
    assert decide(**changes)["decision"] == "ship"


@pytest.mark.parametrize(
    ("in_ledger", "expected"),
    [
        ("source_offset", "source_offset"),
        ("source_offset:ridge", "source_offset:ridge"),
        ("source_offset:boosted_trees", "source_offset"),
    ],
)
def test_ledger_method_is_found_with_and_without_its_regressor(in_ledger, expected):
    assert ledger_method(make_ledger(method=in_ledger), "source_offset", "ridge") == expected
