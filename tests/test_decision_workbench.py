"""The workbench's figures equal plain loops over rows, and its bootstrap that of whole rows or groups."""

import json
import time

import numpy as np
import pandas as pd
import pytest

from core.errors import BadInputError
from core.evaluation.decision_workbench import CELLS, decide_at
from core.evaluation.fairness import fairness_table
from core.evaluation.intervals import wilson_interval
from core.evaluation.resampling import resample_counts
from core.evaluation.thresholds import threshold_cost


def make_rows(num_rows=400, *, seed=0):
    random = np.random.default_rng(seed)
    is_positive = random.random(num_rows) < 0.3
    probability = np.clip(random.normal(0.35 + 0.2 * is_positive, 0.15), 0, 1).round(2)
    attributes = pd.DataFrame(
        {
            "sex": random.choice(["f", "m", None], num_rows, p=[0.5, 0.4, 0.1]).astype(object),
            "age": random.integers(19, 75, num_rows).astype(float),
        }
    )
    groups = random.integers(0, num_rows // 3, num_rows).astype(str)
    return is_positive, probability, attributes, groups


def count_by_loop(is_positive, probability, threshold):
    counts = dict.fromkeys(CELLS, 0)
    for positive, score in zip(is_positive, probability, strict=True):
        if score >= threshold:
            counts["true_positive" if positive else "false_positive"] += 1
        else:
            counts["false_negative" if positive else "true_negative"] += 1
    return counts


def test_workbench_counts_and_rates_equal_plain_loops():
    is_positive, probability, _, _ = make_rows()
    found = decide_at(is_positive, probability, 0.45, 5.0, 1.0)
    c = count_by_loop(is_positive, probability, 0.45)
    assert found["confusion"] == c
    rates = {
        "accuracy": (c["true_positive"] + c["true_negative"], 400),
        "recall": (c["true_positive"], c["true_positive"] + c["false_negative"]),
        "specificity": (c["true_negative"], c["true_negative"] + c["false_positive"]),
        "precision": (c["true_positive"], c["true_positive"] + c["false_positive"]),
        "approval_rate": (c["true_negative"] + c["false_negative"], 400),
    }
    assert set(found["rates"]) == set(rates) and found["rates_by"] == "Wilson" and found["groups"] is None
    for name, (hits, total) in rates.items():
        low, high = wilson_interval(hits, total)
        assert found["rates"][name] == {"value": hits / total, "low": low, "high": high}


def test_workbench_cost_is_the_mean_of_every_rows_cost_less_its_benefit():
    is_positive, probability, _, _ = make_rows()
    costs = []
    for positive, score in zip(is_positive, probability, strict=True):
        if positive:
            costs.append(-2.0 if score >= 0.4 else 5.0)
        else:
            costs.append(1.5 if score >= 0.4 else -0.25)
    benefits = {"benefit_true_positive": 2.0, "benefit_true_negative": 0.25}
    found = decide_at(is_positive, probability, 0.4, 5.0, 1.5, **benefits)["cost_per_case"]
    assert found["value"] == pytest.approx(np.mean(costs))
    assert found["low"] < found["value"] < found["high"]


def test_workbench_cost_interval_agrees_with_the_bootstrap_of_rows():
    is_positive, probability, _, _ = make_rows()
    found = decide_at(is_positive, probability, 0.4, 5.0, 1.0, num_bootstrap=20_000)["cost_per_case"]
    slow = threshold_cost(is_positive, probability, 0.4, 5.0, 1.0, num_bootstrap=20_000)
    assert found["value"] == pytest.approx(slow.value)
    assert (found["low"], found["high"]) == pytest.approx((slow.low, slow.high), abs=0.01)


def test_workbench_repeated_groups_give_the_bootstrap_of_whole_groups():
    is_positive, probability, _, groups = make_rows()
    found = decide_at(is_positive, probability, 0.4, 5.0, 1.0, groups=groups, num_bootstrap=20_000)
    assert found["groups"] == len(set(groups)) and found["rates_by"] == "bootstrap of groups"
    is_right = is_positive == (probability >= 0.4)
    draws = list(resample_counts(400, 20_000, seed=1, groups=groups))
    slow = np.concatenate([counts @ is_right / counts.sum(axis=1) for counts in draws])
    told = found["rates"]["accuracy"]
    assert told["value"] == is_right.mean()
    assert (told["low"], told["high"]) == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.005)


def test_workbench_groups_of_one_row_each_are_no_groups():
    is_positive, probability, _, _ = make_rows()
    with_groups = decide_at(is_positive, probability, 0.4, 5.0, 1.0, groups=np.arange(400).astype(str))
    assert with_groups == decide_at(is_positive, probability, 0.4, 5.0, 1.0)


def test_workbench_slices_equal_plain_loops():
    is_positive, probability, attributes, _ = make_rows()
    found = decide_at(is_positive, probability, 0.45, 5.0, 1.0, attributes=attributes)
    assert [s["value"] for s in found["slices"] if s["attribute"] == "sex"] == ["f", "m", "missing"]
    bands = [s["value"] for s in found["slices"] if s["attribute"] == "age"]
    assert bands[0].startswith("up to") and bands[-1].startswith("over") and " to " in bands[1]
    for told in found["slices"][:3]:
        word = None if told["value"] == "missing" else told["value"]
        rows = np.array([pd.isna(sex) if word is None else sex == word for sex in attributes["sex"]])
        c = count_by_loop(is_positive[rows], probability[rows], 0.45)
        num_positive, num_adverse = int(is_positive[rows].sum()), c["true_positive"] + c["false_positive"]
        assert (told["rows"], told["positives"]) == (rows.sum(), num_positive)
        assert told["adverse_rate"]["value"] == num_adverse / rows.sum()
        assert told["recall"]["value"] == c["true_positive"] / num_positive
        assert told["recall"]["low"] == wilson_interval(c["true_positive"], num_positive)[0]
        assert told["false_positive_rate"]["value"] == c["false_positive"] / (rows.sum() - num_positive)


def test_workbench_four_fifths_equals_the_fairness_table():
    is_positive, probability, attributes, _ = make_rows()
    found = decide_at(is_positive, probability, 0.45, 5.0, 1.0, attributes=attributes)["four_fifths"]
    table = fairness_table(is_positive, probability >= 0.45, attributes)
    for name in attributes:
        assert found[name]["ratio"] == pytest.approx(table[name]["four_fifths_ratio"])
        for key in ("passes_four_fifths", "least_favoured", "most_favoured"):
            assert found[name][key] == table[name][key]


def test_workbench_figures_without_rows_are_none_and_json_ready():
    is_positive = np.zeros(12, dtype=bool)
    attributes = pd.DataFrame({"sex": ["f"] * 6 + ["m"] * 6})
    found = decide_at(is_positive, np.full(12, 0.1), 0.5, 5.0, 1.0, attributes=attributes)
    assert found["rates"]["recall"] == found["rates"]["precision"] == {"value": None, "low": None, "high": None}
    assert found["four_fifths"]["sex"]["ratio"] is None  # both groups are too small to compare
    json.dumps(found, allow_nan=False)


def test_workbench_same_seed_gives_the_same_figures():
    is_positive, probability, attributes, groups = make_rows()
    first, again = (
        decide_at(is_positive, probability, 0.4, 5.0, 1.0, attributes=attributes, groups=groups, seed=3)
        for _ in range(2)
    )
    assert first == again


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"threshold": np.nan}, "threshold is nan"),
        ({"cost_false_positive": 0.0}, "expected above 0"),
        ({"groups": np.array(["a"])}, "groups has 1 rows, expected 400"),
        ({"attributes": pd.DataFrame({"sex": ["f"]})}, "attributes has 1 rows"),
        ({"probability": np.full(400, np.nan)}, "missing or infinite"),
    ],
)
def test_workbench_impossible_input_is_refused(changes, expected):
    is_positive, probability, _, _ = make_rows()
    told = {"threshold": 0.5, "cost_false_negative": 5.0, "cost_false_positive": 1.0, "probability": probability}
    with pytest.raises(BadInputError, match=expected):
        decide_at(is_positive, **{**told, **changes})


def test_workbench_a_hundred_thousand_rows_are_quick():
    is_positive, probability, attributes, groups = make_rows(100_000)
    spent = []
    for _ in range(3):
        started = time.perf_counter()
        decide_at(is_positive, probability, 0.4, 5.0, 1.0, attributes=attributes, groups=groups)
        spent.append(time.perf_counter() - started)
    assert min(spent) < 0.5  # about 0.07 s on an idle processor
