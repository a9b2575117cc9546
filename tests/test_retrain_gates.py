"""Champion against challenger: every figure against an explicit loop, every gate at each of its outcomes."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy.stats import norm

from core.errors import BadInputError, BadParamsError
from core.evaluation.metrics import METRICS
from core.evaluation.paired_tests import delong_test
from core.lifecycle.retrain.comparisons import Comparison, compare_models
from core.lifecycle.retrain.gate_limits import GateLimits
from core.lifecycle.retrain.gates import promotion_gates, standing
from core.lifecycle.retrain.scored import Scored

LIMITS = GateLimits(num_bootstrap=300)
FRESH, REGRESSION = "fresh hold-out", "regression set"


def make_scored(num_rows=600, *, seed=0, noise=(0.5, 0.5), rows_per_group=1, name=FRESH, **changes):
    """Calibrated models but for `noise`, (champion's, challenger's); attribute "site" has three values."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=num_rows)
    told = [1 / (1 + np.exp(-2 * (truth + part * rng.normal(size=num_rows)))) for part in noise]
    values = {
        "targets": (rng.random(num_rows) < 1 / (1 + np.exp(-2 * truth))).astype(int),
        "champion": told[0],
        "challenger": told[1],
        "champion_threshold": 0.2,
        "challenger_threshold": 0.3,
        "groups": np.array([f"g{row // rows_per_group:05d}" for row in range(num_rows)]),
        "slices": pd.DataFrame({"site": rng.choice(["a", "b", "c"], size=num_rows)}),
    }
    return Scored(name, **(values | changes))


def compare(scored, limits=LIMITS, *, metric="auc", seed=7, costs=(5.0, 1.0)):
    return compare_models(
        scored, limits, metric=METRICS[metric], cost_false_negative=costs[0], cost_false_positive=costs[1], seed=seed
    )


def judge(scored, limits=LIMITS, regression=None, latency_ratio=1.0):
    told = None if regression is None else compare(regression, limits)
    return promotion_gates(compare(scored, limits), told, limits, latency_ratio=latency_ratio)


def by_name(gates):
    return {gate.name: gate for gate in gates}


def outcome(gate):
    return "pass" if gate.is_passed else gate.consequence


def auc_by_loop(targets, score):
    positive, negative = score[targets == 1], score[targets == 0]
    if not len(positive) or not len(negative):
        return np.nan
    return np.mean([(one > negative).mean() + (one == negative).mean() / 2 for one in positive])


def make_comparison(**changes):
    values = {
        "rows": FRESH, "metric": "auc", "slice": "", "num_rows": 500, "num_positive_groups": 200,
        "num_negative_groups": 300, "champion": 0.8, "challenger": 0.8, "difference": 0.0, "low": -0.01, "high": 0.01,
        "p_value": 0.9,
    }  # fmt: skip
    return Comparison(**(values | changes))


def test_compare_models_equals_loop_over_resampled_groups():
    scored = make_scored(240, noise=(0.4, 1.2), rows_per_group=3)
    found = {(one.metric, one.slice): one for one in compare(scored)}
    names = np.unique(scored.groups)
    drawn = np.random.default_rng(7).integers(len(names), size=(LIMITS.num_bootstrap, len(names)))
    site = scored.slices["site"].to_numpy()

    def gains(rows):
        targets, sides = scored.targets[rows], (scored.champion[rows], scored.challenger[rows])
        missed = [
            (5.0 * ((targets == 1) & (told < cut)) + ((targets == 0) & (told >= cut))).mean()
            for told, cut in zip(sides, (0.2, 0.3), strict=True)
        ]
        squared = [((told - targets) ** 2).mean() for told in sides]
        ranked = {
            (("auc", f"site = {value}") if value else ("auc", "")): [
                auc_by_loop(targets[here], told[here]) for told in sides
            ]
            for value in ("", "a", "b", "c")
            for here in [site[rows] == value if value else np.ones(len(rows), dtype=bool)]
        }
        gain = {key: challenger - champion for key, (champion, challenger) in ranked.items()}
        return gain | {("brier", ""): squared[0] - squared[1], ("cost_per_case", ""): missed[0] - missed[1]}

    members = [np.flatnonzero(scored.groups == name) for name in names]
    replicates = [gains(np.concatenate([members[place] for place in draw])) for draw in drawn]
    wanted = gains(np.arange(240))
    assert set(found) == set(wanted)
    raw = {}
    for key, one in found.items():
        column = np.array([replicate[key] for replicate in replicates])
        assert one.difference == pytest.approx(wanted[key], abs=1e-12), key
        assert (one.low, one.high) == pytest.approx(tuple(np.quantile(column, [0.025, 0.975])), abs=1e-12), key
        if one.slice:
            raw[key] = 2 * norm.sf(abs(wanted[key]) / column.std(ddof=1))
        else:
            tail = min((column <= 0).sum(), (column >= 0).sum())
            assert one.p_value == pytest.approx(min(1, 2 * (tail + 1) / (len(column) + 1))), key
    largest = 0.0
    for step, (key, p_value) in enumerate(sorted(raw.items(), key=lambda item: item[1])):
        largest = max(largest, min(1.0, (len(raw) - step) * p_value))
        assert found[key].p_value == pytest.approx(largest), key
    assert len(raw) == 3 and min(raw.values()) < 1 / 3  # so that the correction shows


def test_compare_models_auc_interval_agrees_with_delong():
    scored = make_scored(800, noise=(0.9, 0.5))
    found = compare(scored, GateLimits(num_bootstrap=2000))[0]
    exact = delong_test(scored.targets == 1, scored.challenger, scored.champion)
    assert found.difference == pytest.approx(exact.difference) and found.difference > 0
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=0.005)


def test_compare_models_cost_of_six_rows_by_hand():
    scored = Scored(
        FRESH,
        targets=np.array([1, 1, 1, 0, 0, 0]),
        champion=np.array([0.9, 0.5, 0.1, 0.5, 0.4, 0.1]),
        challenger=np.array([0.9, 0.5, 0.1, 0.5, 0.4, 0.1]),
        champion_threshold=0.5,  # misses one of cost 6, calls one wrongly of cost 2
        challenger_threshold=0.1,  # finds all, calls all three wrongly
        groups=np.arange(6),
        slices=pd.DataFrame(index=range(6)),
    )
    found = {one.metric: one for one in compare(scored, costs=(6.0, 2.0))}
    assert list(found) == ["auc", "brier", "cost_per_case"]
    cost = found["cost_per_case"]
    assert (cost.champion, cost.challenger) == pytest.approx(((3 + 1) / 6, 3 / 6))
    assert cost.difference == pytest.approx(1 / 6)
    assert found["auc"].difference == 0 and found["brier"].difference == 0


def test_compare_models_lower_is_better_turns_the_sign():
    found = {one.metric: one for one in compare(make_scored(noise=(0.2, 2.0)), metric="log_loss")}
    for name in ("log_loss", "brier"):
        assert found[name].challenger > found[name].champion
        assert found[name].difference == pytest.approx(found[name].champion - found[name].challenger)


def test_compare_models_brier_as_headline_is_asked_once():
    assert [one.metric for one in compare(make_scored(), metric="brier") if not one.slice] == ["brier", "cost_per_case"]


def test_compare_models_same_seed_gives_same_result_whatever_the_order_of_slices():
    scored = make_scored()
    more = replace(scored, slices=scored.slices.assign(flag=scored.champion > 0.5)[["flag", "site"]])
    assert compare(scored)[:3] == compare(more)[:3]
    assert compare(scored, seed=8)[:3] != compare(scored)[:3]


def test_compare_models_slice_needs_rows_and_groups_of_both_classes():
    """Ten positives and fifty rows are enough, one less of either is not."""
    counts = {"enough": (10, 40), "few rows": (20, 29), "few positives": (9, 200), "all positive": (80, 0)}
    targets = np.concatenate([np.r_[np.ones(ones), np.zeros(zeros)] for ones, zeros in counts.values()])
    site = np.repeat(list(counts), [sum(pair) for pair in counts.values()])
    scored = make_scored(len(site), targets=targets, slices=pd.DataFrame({"site": site}))
    found = {one.slice.removeprefix("site = "): one for one in compare(scored) if one.slice}
    assert {name: (one.num_positive_groups, one.num_negative_groups) for name, one in found.items()} == counts
    assert found.pop("enough").p_value is not None
    for one in found.values():
        assert (one.champion, one.difference, one.low, one.p_value) == (None, None, None, None)


def test_compare_models_metric_that_needs_both_classes_is_not_told_of_one():
    found = compare(make_scored(200, targets=np.ones(200)), metric="balanced_accuracy")
    assert found[0].metric == "balanced_accuracy" and found[0].difference is None


@pytest.mark.parametrize(("metric", "wanted"), [("auc", 0.01), ("brier", 0.005), ("cost_per_case", 0.02)])
@pytest.mark.parametrize("rows", [FRESH, REGRESSION])
def test_comparison_gate_has_three_outcomes_at_its_own_limit(metric, wanted, rows):
    title = {"auc": "Area under the ROC curve", "brier": "Brier score", "cost_per_case": "cost per case"}[metric]
    cases = {
        "pass": {"difference": -wanted - 1e-12, "low": -0.05, "high": 0.01},
        "hold": {"difference": -wanted - 0.001, "low": -0.05, "high": 0.01},
        "refuse": {"difference": -0.0005, "low": -0.0008, "high": -0.0002},
    }
    for expected, changes in cases.items():
        one = make_comparison(metric=metric, rows=rows, **changes)
        sound = make_comparison(rows=REGRESSION if rows == FRESH else FRESH)
        fresh, regression = ([one], [sound]) if rows == FRESH else ([sound], [one])
        gates = promotion_gates(fresh, regression, LIMITS, latency_ratio=1.0)
        gate = by_name(gates)[f"{rows}: {title}"]
        assert outcome(gate) == expected
        assert standing(gates)["decision"] == {"pass": "ship"}.get(expected, expected)
        assert f"{changes['difference']:+.4f}, 95% interval {changes['low']:+.4f}" in gate.value
        assert f"{wanted:g}" in gate.wanted


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"difference": -0.05, "p_value": 0.06}, "pass"),
        ({"difference": -0.051, "p_value": 0.06}, "hold"),
        ({"difference": -0.02, "p_value": 0.04}, "refuse"),
        ({"difference": 0.2, "p_value": 0.001}, "pass"),
    ],
)
@pytest.mark.parametrize("rows", [FRESH, REGRESSION])
def test_slice_gate_has_three_outcomes(changes, expected, rows):
    slices = [
        make_comparison(rows=rows, slice="sex = male", difference=0.001, p_value=1.0),
        make_comparison(rows=rows, slice="sex = female", num_rows=77, **changes),
    ]
    fresh, regression = [make_comparison()], [make_comparison(rows=REGRESSION)]
    (fresh if rows == FRESH else regression).extend(slices)
    gate = by_name(promotion_gates(fresh, regression, LIMITS, latency_ratio=1.0))["slices"]
    assert outcome(gate) == expected
    worst = "sex = male" if changes["difference"] > 0 else "sex = female"
    assert f"{worst} ({rows}" in gate.value


def test_slice_gate_names_a_significant_slice_before_a_larger_loss_that_may_be_chance():
    slices = [
        make_comparison(slice="sex = male", difference=-0.02, p_value=0.01),
        make_comparison(slice="sex = female", difference=-0.2, p_value=0.5),
    ]
    gate = by_name(promotion_gates([make_comparison(), *slices], None, LIMITS, latency_ratio=1.0))["slices"]
    assert outcome(gate) == "refuse" and "sex = male" in gate.value and "sex = female" not in gate.reason


def test_slice_gate_counts_what_it_left_out_and_passes_without_slices():
    untold = make_comparison(slice="sex = x", difference=None, low=None, high=None, p_value=None, num_rows=12)
    told = make_comparison(slice="sex = male")
    value = {
        "some": by_name(promotion_gates([make_comparison(), told, untold], None, LIMITS, latency_ratio=None))["slices"],
        "small": by_name(promotion_gates([make_comparison(), untold], None, LIMITS, latency_ratio=None))["slices"],
        "none": by_name(promotion_gates([make_comparison()], None, LIMITS, latency_ratio=None))["slices"],
    }
    assert "1 of 2 slices are too small" in value["some"].value
    assert value["small"].value == "not measured: 1 of 1 slices are too small to compare"
    assert "names no slices" in value["none"].value
    assert all(gate.is_passed for gate in value.values())


@pytest.mark.parametrize(("ratio", "expected"), [(2.0, "pass"), (2.01, "hold"), (float("nan"), "hold"), (None, "pass")])
def test_latency_gate_holds_above_its_limit(ratio, expected):
    gate = by_name(promotion_gates([make_comparison()], None, LIMITS, latency_ratio=ratio))["latency"]
    assert outcome(gate) == expected
    assert (gate.value == "not measured") == (ratio is None)


def test_regression_gate_without_a_set_passes_and_says_how_to_get_one():
    gate = by_name(promotion_gates([make_comparison()], None, LIMITS, latency_ratio=1.0))["regression set"]
    assert gate.is_passed and gate.value == "not measured: set prepare.split.regression_fraction"
    told = promotion_gates([make_comparison()], [make_comparison(rows=REGRESSION)], LIMITS, latency_ratio=1.0)
    assert "regression set" not in by_name(told)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"p_value": 0.02, "low": 0.001, "high": 0.02}, "hold"),  # of three measures 3 x 0.02 is chance
        ({"p_value": 0.01, "low": 0.001, "high": 0.02}, "pass"),
        ({"p_value": 0.01, "low": -0.02, "high": -0.001}, "hold"),
        ({"p_value": 0.01, "low": 0.001, "high": 0.02, "num_rows": 99}, "hold"),
    ],
)
def test_gain_gate_asks_for_a_corrected_gain(changes, expected):
    fresh = [make_comparison(), make_comparison(metric="brier"), make_comparison(metric="cost_per_case", **changes)]
    gates = by_name(promotion_gates(fresh, None, replace(LIMITS, needs_gain=True), latency_ratio=1.0))
    assert outcome(gates["gain"]) == expected
    assert "gain" not in by_name(promotion_gates(fresh, None, LIMITS, latency_ratio=1.0))


def test_gates_of_identical_models_all_pass():
    scored = make_scored(challenger_threshold=0.2)
    scored = replace(scored, challenger=scored.champion.copy())
    gates = judge(scored, regression=replace(scored, name=REGRESSION))
    assert [gate.name for gate in gates] == [
        *(f"{rows}: {title}" for rows in (FRESH, REGRESSION) for title in
          ("Area under the ROC curve", "Brier score", "cost per case")),
        "slices", "latency",
    ]  # fmt: skip
    assert standing(gates)["decision"] == "ship" and all(gate.is_passed for gate in gates)
    assert "worst of 6: site" in by_name(gates)["slices"].value
    needing = judge(scored, replace(LIMITS, needs_gain=True))
    assert standing(needing)["decision"] == "hold" and [g.name for g in needing if not g.is_passed] == ["gain"]


def test_gates_of_a_better_challenger_pass_with_gain():
    gates = judge(make_scored(1500, noise=(2.0, 0.2)), replace(LIMITS, needs_gain=True))
    assert standing(gates)["decision"] == "ship"
    assert "Area under the ROC curve +" in by_name(gates)["gain"].value
    assert "better by more than chance" in by_name(gates)[f"{FRESH}: Brier score"].reason


def test_gates_of_a_challenger_with_flipped_labels_refuse():
    scored = make_scored()
    gates = judge(replace(scored, challenger=1 - scored.champion))
    assert standing(gates)["decision"] == "refuse"
    assert {gate.name for gate in gates if outcome(gate) == "refuse"} == {
        f"{FRESH}: Area under the ROC curve", f"{FRESH}: Brier score", f"{FRESH}: cost per case", "slices",
    }  # fmt: skip


def test_gates_of_a_challenger_flipped_on_the_regression_set_alone_refuse():
    scored = make_scored(challenger_threshold=0.2)
    scored = replace(scored, challenger=scored.champion)
    forgotten = replace(scored, name=REGRESSION, challenger=1 - scored.champion)
    gates = judge(scored, regression=forgotten)
    assert {gate.name.split(":")[0] for gate in gates if not gate.is_passed} == {REGRESSION, "slices"}
    assert standing(gates)["decision"] == "refuse"


def test_gates_of_one_bad_slice_of_thirty_refuse():
    """Counted replicates of 1000 end at 0.002, which times thirty is no longer below 0.05."""
    scored = make_scored(3000, slices=pd.DataFrame({"site": [f"s{row % 30:02d}" for row in range(3000)]}))
    is_bad = np.arange(3000) % 30 == 4
    scored = replace(scored, challenger=np.where(is_bad, 1 - scored.champion, scored.champion))
    gate = by_name(judge(scored, GateLimits()))["slices"]
    assert outcome(gate) == "refuse" and "worst of 30: site = s04" in gate.value
    assert "site = s05" not in gate.reason


@pytest.mark.parametrize(
    ("num_rows", "rows_per_group", "told"),
    [(99, 1, "99 rows"), (400, 50, "8 groups with a positive and 8 with a negative")],
)
def test_gates_of_a_small_hold_out_hold_even_a_bad_challenger(num_rows, rows_per_group, told):
    scored = make_scored(num_rows, rows_per_group=rows_per_group, slices=pd.DataFrame({"all": ["x"] * num_rows}))
    gates = judge(replace(scored, challenger=1 - scored.champion), replace(LIMITS, needs_gain=True))
    assert standing(gates)["decision"] == "hold"
    small = [gate for gate in gates if gate.name.startswith(FRESH)]
    assert len(small) == 3 and all(outcome(gate) == "hold" and told in gate.reason for gate in small)
    assert by_name(gates)["slices"].value.startswith("not measured")


def test_gates_of_a_small_regression_set_hold():
    scored = make_scored(challenger_threshold=0.2)
    same = replace(scored, challenger=scored.champion)
    small = make_scored(60, name=REGRESSION)
    assert standing(judge(same))["decision"] == "ship"
    assert standing(judge(same, regression=small))["decision"] == "hold"


@pytest.mark.parametrize(("target", "kind"), [(0, "negative"), (1, "positive")])
def test_gates_of_one_class_hold_with_the_reason(target, kind):
    scored = make_scored(300, targets=np.full(300, target))
    compared = compare(scored)
    gates = promotion_gates(compared, None, LIMITS, latency_ratio=1.0)
    assert standing(gates)["decision"] == "hold"
    gate = by_name(gates)[f"{FRESH}: Area under the ROC curve"]
    assert gate.value == "not measured" and f"All 300 rows are {kind}" in gate.reason
    assert compared[0].difference is None and compared[1].difference is not None
    json.dumps([asdict(one) for one in compared], allow_nan=False)


def test_gates_of_a_difference_in_rounding_pass():
    scored = make_scored(challenger_threshold=0.2)
    away = np.where(scored.targets == 1, -1e-8, 1e-8)
    scored = replace(scored, challenger=np.clip(scored.champion + away, 0, 1))
    assert compare(scored)[1].high < 0
    assert standing(judge(scored))["decision"] == "ship"


def test_gates_of_equally_good_models_are_rarely_refused():
    limits, refused = GateLimits(num_bootstrap=200), 0
    for seed in range(60):
        scored = make_scored(400, seed=seed, noise=(0.6, 0.6), challenger_threshold=0.2)
        refused += standing(judge(scored, limits))["decision"] == "refuse"
    assert refused / 60 < 0.2  # four gates of 2.5 % each, which go together


def test_promotion_gates_without_fresh_comparisons_are_refused():
    for fresh in ([], [make_comparison(slice="sex = male")]):
        with pytest.raises(BadInputError, match="no comparison on the fresh hold-out"):
            promotion_gates(fresh, None, LIMITS, latency_ratio=1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"champion": np.full(599, 0.5)}, r"champion has shape \(599,\), expected \(600,\)"),
        ({"challenger": np.full((600, 2), 0.5)}, r"challenger has shape \(600, 2\)"),
        ({"challenger": np.r_[np.nan, np.full(599, 0.5)]}, "1 of 600 challenger scores are missing"),
        ({"champion": np.full(600, 1.5)}, "600 of 600 champion scores"),
        ({"targets": np.full(600, 2)}, "fresh hold-out: Labels run from 2 to 2"),
        ({"targets": np.r_[np.nan, np.ones(599)]}, "1 of 600 labels are missing"),
        ({"groups": np.arange(3)}, "groups has shape"),
        ({"groups": np.array([None, *range(599)], dtype=object)}, "1 groups are missing"),
        ({"slices": pd.DataFrame({"site": ["a"]})}, "slices has 1 rows, expected 600"),
        ({"challenger_threshold": float("nan")}, "challenger_threshold is nan"),
    ],
)
def test_scored_of_bad_input_is_refused(changes, message):
    with pytest.raises(BadInputError, match=message):
        make_scored(**changes)


def test_scored_of_float32_is_decided_as_float64():
    """float32 0.1 is 0.1000000015, below the threshold; the threshold as float32 would be the same number."""
    told = np.full(3, 0.1, dtype=np.float32)
    scored = make_scored(3, targets=np.ones(3), champion=told, champion_threshold=0.1 + 2e-9)
    found = {one.metric: one for one in compare(scored)}
    assert found["cost_per_case"].champion == 5.0


def test_compare_models_with_a_cost_of_zero_is_refused():
    with pytest.raises(BadInputError, match="expected above 0"):
        compare(make_scored(), costs=(0.0, 1.0))


def test_gate_limits_typo_or_bad_value_is_refused():
    with pytest.raises(ValidationError, match="max_los"):
        GateLimits(max_los=0.1)
    with pytest.raises(ValidationError, match="max_brier_loss"):
        GateLimits(max_brier_loss=-0.1)
    with pytest.raises(BadParamsError, match="Set num_bootstrap to 600"):
        GateLimits(confidence=0.99, num_bootstrap=300)
    assert GateLimits(confidence=0.99, num_bootstrap=600).num_bootstrap == 600
