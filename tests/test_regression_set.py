"""Rows that stay out of training for good, splits by delivery, and which groups a model was made of."""

import numpy as np
import pandas as pd
import pytest

from core.data.manifest import check_manifest
from core.data.splits import in_regression_set, split_rows
from core.errors import BadInputError, BadParamsError
from core.learners.learned_groups import LearnedGroups
from core.params import SplitParams


def rows(num=400, batches=("a", "b", "c", "d"), seed=0):
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "sample_id": [f"s{i}" for i in range(num)],
            "domain": "near",
            "label": random.integers(0, 2, num).astype(float),
            "group": [f"g{i // 2}" for i in range(num)],
            "time": pd.NaT,
            "batch": np.repeat(batches, num // len(batches)),
        }
    )


@pytest.mark.parametrize("method", ["stratified", "grouped", "temporal", "batches"])
def test_regression_rows_are_in_no_other_split_and_their_share_is_near_the_fraction(method):
    table = rows(2000)
    table["time"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(len(table)) // 2, unit="D")
    if method == "stratified":
        table["group"] = table["sample_id"]
    split = split_rows(table, SplitParams(method=method, regression_fraction=0.2), 0)
    is_apart = split.names == "regression"
    assert 0.15 < is_apart.mean() < 0.25 and split.report["rows"]["regression"] == is_apart.sum()
    assert set(split.names) == {"train", "valid", "test", "regression"}
    temporal = "near" if method == "temporal" else None
    check_manifest(table.assign(split=split.names, is_masked=False), temporal_domain=temporal)


def test_group_of_the_regression_set_stays_there_whatever_comes():
    few, many = rows(400), rows(1200, seed=5)
    first = split_rows(few, SplitParams(method="grouped", regression_fraction=0.2), 0).names
    later = split_rows(many, SplitParams(method="grouped", regression_fraction=0.2), 3).names
    groups = set(few["group"][first == "regression"])
    assert groups and groups <= set(many["group"][later == "regression"])
    assert not groups & set(many["group"][later != "regression"])


def test_larger_fraction_holds_the_smaller_one():
    groups = pd.Series([f"g{i}" for i in range(500)])
    small, large = in_regression_set(groups, 0.1), in_regression_set(groups, 0.3)
    assert small.any() and (large | ~small).all() and large.sum() > small.sum()
    assert not in_regression_set(groups, 0.0).any()


def test_sources_have_no_regression_rows():
    names = split_rows(rows(), SplitParams(regression_fraction=0.3), 0, has_test=False).names
    assert set(names) == {"train", "valid"}


def test_split_by_batches_tests_on_the_newest_labelled_delivery_and_trains_on_the_rest():
    table = rows()
    table.loc[table["batch"] == "d", "label"] = np.nan  # its labels are late
    split = split_rows(table, SplitParams(method="batches"), 0)
    assert set(table["batch"][split.names == "test"]) == {"c"} and (split.names[table["batch"] == "c"] == "test").all()
    assert set(split.names[table["batch"] == "d"]) == {"train"}
    assert split.report["test_batches"] == ["c"] and (split.names == "valid").sum() > 20


def test_split_by_batches_keeps_groups_that_an_earlier_delivery_knows_in_training():
    table = rows()
    table.loc[table.index[-10:], "group"] = "g0"  # of the first delivery
    split = split_rows(table, SplitParams(method="batches"), 0)
    assert "test" not in set(split.names[-10:]) and split.report["rows_of_known_groups_kept_in_train"] == 10
    check_manifest(table.assign(split=split.names, is_masked=False))


def test_split_by_batches_needs_more_deliveries_than_it_tests_on():
    with pytest.raises(BadInputError, match="more than 4 deliveries"):
        split_rows(rows(), SplitParams(method="batches", test_batches=4), 0)
    with pytest.raises(BadParamsError, match="do not tell their delivery"):
        split_rows(rows().drop(columns="batch"), SplitParams(method="batches"), 0)


def test_learned_groups_know_theirs_after_saving_and_tell_no_name(tmp_path):
    known = LearnedGroups.of(["anna", "bela", "anna"])
    known.save(tmp_path)
    again = LearnedGroups.load(tmp_path)
    assert again.contains(np.array(["bela", "carl", "anna"], dtype=object)).tolist() == [True, False, True]
    assert len(again) == 2 and b"anna" not in (tmp_path / "learned_groups.parquet").read_bytes()
    assert again.union(LearnedGroups.of(["carl"])).contains(np.array(["carl", "dora"])).tolist() == [True, False]
    assert LearnedGroups.load(tmp_path / "nothing") is None
    assert again.contains(np.array([], dtype=object)).shape == (0,)
