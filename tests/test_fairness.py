"""Slices, fairness measures and proxies against plain loops and planted effects."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from core.artifacts import to_plain
from core.data.table_schema import Feature, TableSchema
from core.errors import BadInputError
from core.evaluation.attribute_bands import attribute_groups
from core.evaluation.fairness import fairness_table, protected_proxies
from core.evaluation.slices import MEASURES, slice_table

THRESHOLD = 0.4


def lending(num_rows: int = 1200, seed: int = 0, extra_risk_for_b: float = 0.0):
    """Labels, probabilities (N, 2) and two attributes; group b's probability may be overstated."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(-0.5, 1.2, num_rows)
    labels = (rng.random(num_rows) < 1 / (1 + np.exp(-log_odds))).astype(int)
    attributes = pd.DataFrame(
        {
            "group": np.where(rng.random(num_rows) < 0.4, "b", "a"),
            "age": rng.integers(18, 80, num_rows).astype(float),
        }
    )
    log_odds = log_odds + extra_risk_for_b * (attributes["group"] == "b").to_numpy()
    score = 1 / (1 + np.exp(-log_odds))
    return labels, np.column_stack([1 - score, score]), attributes


def test_slice_table_equals_loop():
    labels, probability, attributes = lending()
    table = slice_table(labels, probability, attributes, threshold=THRESHOLD, positive_index=1, num_bootstrap=100)
    score = probability[:, 1]
    assert table.groupby("attribute")["rows"].sum().eq(len(labels)).all()
    for row in table[table["attribute"] == "group"].itertuples():
        here = (attributes["group"] == row.value).to_numpy()
        adverse = score >= THRESHOLD

        def measures(part, adverse=adverse):
            return {
                "auc": roc_auc_score(labels[part], score[part]),
                "adverse_rate": adverse[part].mean(),
                "true_positive_rate": adverse[part & (labels == 1)].mean(),
                "false_positive_rate": adverse[part & (labels == 0)].mean(),
                "calibration_gap": score[part].mean() - labels[part].mean(),
            }

        inside, rest = measures(here), measures(~here)
        assert set(inside) == set(MEASURES)
        for name in MEASURES:
            assert getattr(row, name) == pytest.approx(inside[name])
            assert getattr(row, f"{name}_gap") == pytest.approx(inside[name] - rest[name])
        assert (row.rows, row.positives) == (here.sum(), labels[here].sum())
        assert row.auc_low < row.auc < row.auc_high


def test_slices_without_any_effect_are_seldom_flagged():
    flags = [
        slice_table(*lending(400, seed), threshold=THRESHOLD, positive_index=1, num_bootstrap=150, seed=seed)[
            "is_flagged"
        ].any()
        for seed in range(30)
    ]
    assert np.mean(flags) < 0.2


def test_slices_with_overstated_group_are_flagged_for_it_only():
    table = slice_table(*lending(2000, extra_risk_for_b=1.2), threshold=THRESHOLD, positive_index=1, num_bootstrap=300)
    flagged = table[table["is_flagged"]]
    assert set(flagged["attribute"]) == {"group"}
    for names in flagged["flagged_gaps"]:
        assert {"adverse_rate", "false_positive_rate", "calibration_gap"} <= set(names.split(", "))


def test_small_and_one_class_slices_are_counted_not_measured():
    labels, probability, attributes = lending(300)
    attributes["rare"] = np.where(np.arange(300) < 12, "few", "many")
    attributes["kind"] = np.where(labels == 1, "bad", "good")
    table = slice_table(labels, probability, attributes, threshold=THRESHOLD, positive_index=1, num_bootstrap=100)
    table = table.set_index(["attribute", "value"])
    few = table.loc[("rare", "few")]
    assert few["rows"] == 12 and np.isnan(few["auc"]) and np.isnan(few["adverse_rate"])
    assert few["note"] == "fewer than 30 rows" and not few["is_flagged"]
    bad = table.loc[("kind", "bad")]
    assert np.isnan(bad["auc"]) and bad["note"] == "one class only"
    assert bad["true_positive_rate"] == pytest.approx((probability[labels == 1, 1] >= THRESHOLD).mean())


@pytest.mark.parametrize("num_positive", [4, 12])
def test_slice_where_all_of_few_positives_are_found_is_no_alarm(num_positive):
    """All of 12 found against 80 % elsewhere has p = 0.8^12 = 0.07, yet the bootstrap alone sees no error in it."""
    small = np.r_[np.full(num_positive, 1), np.zeros(40, dtype=int)]
    large = np.r_[np.full(500, 1), np.zeros(1500, dtype=int)]
    is_adverse = np.r_[small == 1, np.arange(2000) % 5 != 0]
    score = np.where(is_adverse, 0.6, 0.2)
    part = pd.DataFrame({"x": ["small"] * len(small) + ["large"] * 2000})
    table = slice_table(
        np.r_[small, large],
        np.column_stack([1 - score, score]),
        part,
        threshold=THRESHOLD,
        positive_index=1,
        num_bootstrap=200,
    ).set_index("value")
    assert table.loc["small", "true_positive_rate"] == 1
    assert table.loc["small", "true_positive_rate_gap"] == pytest.approx(0.2)
    assert "true_positive_rate" not in table.loc["small", "flagged_gaps"]
    assert np.isnan(table.loc["small", "true_positive_rate_p"]) == (num_positive < 10)
    assert "false_positive_rate" in table.loc["small", "flagged_gaps"]  # 0 of 40 against 80 % is no accident


def test_attribute_groups_of_numbers_texts_and_missing_values():
    ages = pd.Series([20.0, 30, 40, 50, 60, 70, 80, 90, np.nan])
    assert attribute_groups(ages, (30, 60)).tolist() == (
        ["up to 30"] * 2 + ["over 30 to 60"] * 3 + ["over 60"] * 3 + ["missing"]
    )
    assert attribute_groups(ages.astype("string").astype(object), (30, 60)).tolist()[0] == "up to 30"
    assert attribute_groups(ages).value_counts().drop("missing").between(2, 3).all()
    assert attribute_groups(pd.Series([0.0, 1, 2, np.nan])).tolist() == ["0", "1", "2", "missing"]
    assert attribute_groups(pd.Series(["m", None, "f"])).tolist() == ["m", "missing", "f"]
    assert attribute_groups(pd.Series([None, None], dtype=object)).tolist() == ["missing"] * 2


def test_slice_order_of_bands_is_by_value():
    labels, probability, attributes = lending(600)
    table = slice_table(
        labels,
        probability,
        attributes[["age"]],
        threshold=0.4,
        positive_index=1,
        num_bootstrap=100,
        edges={"age": (25, 100)},
    )
    assert table["value"].tolist() == ["up to 25", "over 25 to 100"]


def test_fairness_table_equals_loop():
    labels, probability, attributes = lending(800, extra_risk_for_b=0.6)
    adverse = probability[:, 1] >= THRESHOLD
    found = fairness_table(labels == 1, adverse, attributes[["group"]])["group"]
    rates = {}
    for name in ("a", "b"):
        here = (attributes["group"] == name).to_numpy()
        rates[name] = (
            1 - adverse[here].mean(),
            adverse[here & (labels == 1)].mean(),
            adverse[here & (labels == 0)].mean(),
        )
    a, b = rates["a"], rates["b"]
    assert found["four_fifths_ratio"] == pytest.approx(min(a[0], b[0]) / max(a[0], b[0]))
    assert found["adverse_rate_difference"] == pytest.approx(abs(a[0] - b[0]))
    assert found["true_positive_rate_difference"] == pytest.approx(abs(a[1] - b[1]))
    assert found["false_positive_rate_difference"] == pytest.approx(abs(a[2] - b[2]))
    assert found["equalised_odds_difference"] == pytest.approx(max(abs(a[1] - b[1]), abs(a[2] - b[2])))
    assert (found["least_favoured"], found["most_favoured"]) == ("b", "a")
    assert found["passes_four_fifths"] == (found["four_fifths_ratio"] >= 0.8)
    assert found["p_value"] < 0.01


def test_fairness_leaves_tiny_groups_out_and_unknown_rates_open():
    labels, probability, attributes = lending(400)
    groups = attributes["group"].to_numpy(dtype=object)
    groups[:5] = "tiny"
    adverse = np.where(groups == "tiny", True, probability[:, 1] >= THRESHOLD)
    labels = np.where(groups == "b", 0, labels)
    found = fairness_table(labels == 1, adverse, pd.DataFrame({"group": groups}))["group"]
    by_value = {group["value"]: group for group in found["groups"]}
    assert not by_value["tiny"]["is_compared"] and found["least_favoured"] != "tiny"
    assert by_value["b"]["true_positive_rate"] is None
    assert found["equalised_odds_difference"] is None and found["false_positive_rate_difference"] is not None
    json.dumps(to_plain(found), allow_nan=False)


def test_fairness_of_one_group_or_equal_decisions_is_none_or_equal():
    labels, _, attributes = lending(200)
    alone = fairness_table(labels == 1, labels == 1, pd.DataFrame({"g": ["x"] * 200}))["g"]
    assert alone["four_fifths_ratio"] is None and alone["passes_four_fifths"] is None
    nobody = fairness_table(labels == 1, np.ones(200, dtype=bool), attributes[["group"]])["group"]
    assert nobody["four_fifths_ratio"] == 1 and nobody["p_value"] == 1


def test_fairness_of_scores_instead_of_decisions_is_refused():
    labels, probability, attributes = lending(100)
    with pytest.raises(BadInputError, match="Apply the threshold"):
        fairness_table(labels == 1, probability[:, 1], attributes)


def test_protected_proxies_find_the_planted_column_only():
    rng = np.random.default_rng(0)
    sex = np.where(rng.random(600) < 0.5, "m", "f").astype(object)
    sex[:20] = None
    frame = pd.DataFrame(
        {
            "sex": sex,
            "title": np.where(rng.random(600) < 0.9, np.where(sex == "m", "mr", "ms"), None),
            "income": rng.normal(size=600),
            "note": "text",
        }
    )
    frame.loc[30:60, "income"] = np.nan
    schema = TableSchema(
        (
            Feature("sex", "category", is_protected=True),
            Feature("title", "category"),
            Feature("income", "number"),
            Feature("note", "text"),
        )
    )
    protected = pd.DataFrame({"sex": sex, "coin": rng.choice(["x", "y", "z"], 600), "constant": "c"})
    found = protected_proxies(frame, protected, schema)
    assert found["sex"]["strength"] == "strong" and found["sex"]["rows"] == 580
    assert [item["column"] for item in found["sex"]["columns"]] == ["title", "income"]
    assert found["sex"]["columns"][0]["auc"] > 0.9 > 0.6 > found["sex"]["columns"][1]["auc"]
    assert found["coin"]["strength"] == "none" and abs(found["coin"]["auc"] - 0.5) < 0.08
    assert found["constant"]["auc"] is None
    assert found == protected_proxies(frame, protected, schema)
