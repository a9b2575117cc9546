import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from core.data.domain import ColumnSpec, DomainSpec
from core.data.leakage import (
    find_suspects,
    has_after_outcome_name,
    identifier_fraction,
    label_auc,
    out_of_fold_rate,
    refuse_after_outcome,
)
from core.data.repeated_rows import count_repeated_rows
from core.data.table_features import feature_columns
from core.errors import BadParamsError

NUM_ROWS = 300


@pytest.fixture
def labels():
    return (np.random.default_rng(0).random(NUM_ROWS) < 0.3).astype(float)


def make_manifest(labels) -> pd.DataFrame:
    split = np.where(np.arange(NUM_ROWS) % 4 == 0, "test", "train")
    return pd.DataFrame({"label": labels, "split": split})


def suspects_of(values, kind, labels, name="feature"):
    spec = DomainSpec("d", "v", (ColumnSpec(name, kind=kind), ColumnSpec("noise", kind="number")))
    noise = np.random.default_rng(5).normal(size=NUM_ROWS)
    found = find_suspects(spec, make_manifest(labels), pd.DataFrame({name: values, "noise": noise}))
    assert all(suspect.column != "noise" for suspect in found)
    return found


def test_find_suspects_number_that_decides_the_label_is_strong(labels):
    random = np.random.default_rng(1)
    suspects = suspects_of(-5 * labels + random.normal(size=NUM_ROWS), "number", labels)
    assert [(s.column, s.is_strong) for s in suspects] == [("feature", True)]
    assert "decides the label" in suspects[0].reason
    assert suspects[0].number >= 0.98


def test_find_suspects_category_that_decides_the_label_is_strong(labels):
    words = np.where(labels == 1, "x", np.where(np.arange(NUM_ROWS) % 2, "y", "z")).astype(object)
    suspects = suspects_of(words, "category", labels)
    assert [s.is_strong for s in suspects] == [True]
    assert suspects[0].number == pytest.approx(1.0)


def test_find_suspects_missing_only_for_one_class_is_strong(labels):
    values = np.where(labels == 1, np.nan, np.random.default_rng(1).normal(size=NUM_ROWS))
    assert any("decides the label" in s.reason for s in suspects_of(values, "number", labels))


def test_find_suspects_u_shaped_number_of_few_values_is_strong(labels):
    values = np.where(labels == 1, 2.0, np.where(np.arange(NUM_ROWS) % 2, 1.0, 3.0))
    assert any("decides the label" in s.reason for s in suspects_of(values, "number", labels))


def test_find_suspects_harmless_column_is_not_suspected(labels):
    random = np.random.default_rng(2)
    assert suspects_of(labels + random.normal(size=NUM_ROWS), "number", labels) == []
    assert suspects_of(random.choice(["a", "b"], NUM_ROWS).astype(object), "category", labels) == []


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([f"K{row}" for row in range(NUM_ROWS)], "category"),
        ([f"{row * 7919}-x" for row in range(NUM_ROWS)], "text"),
        (np.arange(NUM_ROWS) * 1000.0 + 5, "number"),
        (np.random.default_rng(3).permutation(NUM_ROWS) * 1.0, "number"),
    ],
)
def test_find_suspects_identifier_is_found(values, kind, labels):
    suspects = suspects_of(pd.Series(values), kind, labels)
    assert ["identifies rows" in s.reason for s in suspects] == [True]
    assert suspects[0].number == 1.0


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([f"to buy car {row}" for row in range(NUM_ROWS)], "text"),
        (np.random.default_rng(3).choice(10**7, NUM_ROWS, replace=False) * 1.0, "number"),
        (np.sort(np.random.default_rng(3).normal(size=NUM_ROWS)), "number"),
        (["a", "b", "c"] * 100, "category"),
    ],
)
def test_identifier_fraction_ordinary_column_is_zero(values, kind):
    assert identifier_fraction(pd.Series(values), kind) == 0.0


def test_find_suspects_labels_of_test_rows_are_not_used(labels):
    values = np.where(np.arange(NUM_ROWS) % 4 == 0, labels * 10, 0.0)  # decides test labels only
    assert suspects_of(values, "number", labels) == []


@pytest.mark.parametrize("name", ["total_rec_late_fee", "recoveries", "loan_status", "outPrncp", "LastPymntAmnt"])
def test_has_after_outcome_name_of_repayment_is_told(name):
    assert has_after_outcome_name(name)


@pytest.mark.parametrize("name", ["income", "marital_status", "status.of.existing.checking.account", "term_months"])
def test_has_after_outcome_name_known_before_is_not_told(name):
    assert not has_after_outcome_name(name)


def test_find_suspects_name_alone_is_weak(labels):
    values = np.random.default_rng(2).normal(size=NUM_ROWS)
    suspects = suspects_of(values, "number", labels, name="loan_status_code")
    assert [(s.is_strong, "named like" in s.reason) for s in suspects] == [(False, True)]


def test_refuse_after_outcome_declared_column_stops():
    spec = DomainSpec("d", "v", (ColumnSpec("recoveries", is_after_outcome=True), ColumnSpec("income")))
    assert [column.name for column in feature_columns(spec)] == ["income"]
    refuse_after_outcome(spec, ["income"])
    with pytest.raises(BadParamsError, match="recoveries"):
        refuse_after_outcome(spec, ["income", "recoveries"])


def test_out_of_fold_rate_equals_plain_loops():
    random = np.random.default_rng(0)
    values = pd.Series(random.choice(["a", "b", "c", None], 47), dtype=object)
    is_positive = random.random(47) < 0.4
    expected = []
    for row in range(47):
        others = [other for other in range(47) if other % 5 != row % 5]
        base = sum(is_positive[other] for other in others) / len(others)
        same = [o for o in others if values[o] == values[row] or (values[o] is None and values[row] is None)]
        expected.append((sum(is_positive[o] for o in same) + base) / (len(same) + 1))
    np.testing.assert_allclose(out_of_fold_rate(values, is_positive), expected)


def test_label_auc_number_is_the_better_direction(labels):
    values = pd.Series(np.random.default_rng(0).normal(size=NUM_ROWS) - labels)
    assert label_auc(values, labels, "number") == pytest.approx(1 - roc_auc_score(labels, values))


def test_label_auc_too_few_of_a_class_is_one_half():
    values = pd.Series([1.0] * 4 + [0.0] * 30)
    assert label_auc(values, np.array([1.0] * 4 + [0.0] * 30), "number") == 0.5


def test_count_repeated_rows_across_splits_counts_labels():
    features = pd.DataFrame({"x": [1.0, 2.0, 3.0, 1.0, 2.0, 9.0, np.nan, np.nan], "c": [*"abcabz", None, None]})
    manifest = pd.DataFrame(
        {
            "label": [0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0],
            "split": ["train", "train", "train", "test", "test", "test", "train", "test"],
        }
    )
    counts = count_repeated_rows(manifest, features)
    assert counts["test_rows_also_in_train"] == 2
    assert counts["test_rows_same_label"] == 1
    assert counts["test_rows_other_label"] == 1
    assert counts["repeated_rows"] == 2
    assert counts["repeated_rows_with_other_label"] == 2
    assert counts["valid_rows_also_in_train"] == 0


def test_find_suspects_duplicates_across_splits_are_reported(labels):
    spec = DomainSpec("d", "v", (ColumnSpec("x", kind="number"),))
    values = np.random.default_rng(0).normal(size=NUM_ROWS)
    values[[0, 4, 8]] = values[1]  # rows 0, 4 and 8 are test rows, row 1 trains
    suspects = find_suspects(spec, make_manifest(labels), pd.DataFrame({"x": values}))
    assert [(s.column, s.number) for s in suspects] == [("(rows)", 3.0)]
