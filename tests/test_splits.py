import numpy as np
import pandas as pd
import pytest

from core.data.splits import split_rows
from core.errors import BadInputError, BadParamsError
from core.params import SplitParams


def make_manifest(num_rows=400, *, group_size=1, days=None, seed=0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    ids = np.array([f"d/{row}" for row in range(num_rows)], dtype=object)
    groups = ids if group_size == 1 else np.array([f"g{row // group_size}" for row in range(num_rows)], dtype=object)
    time = pd.NaT if days is None else pd.Timestamp("2020-01-01") + pd.to_timedelta(days, unit="D")
    return pd.DataFrame(
        {
            "sample_id": ids,
            "domain": "d",
            "label": (random.random(num_rows) < 0.2).astype(float),
            "group": groups,
            "time": pd.Series(time, index=range(num_rows)).astype("datetime64[us]"),
        }
    )


def test_stratified_split_keeps_sizes_and_class_shares():
    manifest = make_manifest()
    split = split_rows(manifest, SplitParams(), 0)
    assert split.method == "stratified"
    assert split.report["rows"] == {"train": 240, "valid": 60, "test": 100}
    for name in ("train", "valid", "test"):
        assert manifest["label"][split.names == name].mean() == pytest.approx(manifest["label"].mean(), abs=0.01)


@pytest.mark.parametrize("group_size", [1, 4])
def test_split_same_seed_is_identical_and_other_seed_differs(group_size):
    manifest = make_manifest(group_size=group_size)
    first, again, other = (split_rows(manifest, SplitParams(), seed).names for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


def test_grouped_split_keeps_groups_whole_and_near_the_fractions():
    manifest = make_manifest(group_size=4)
    split = split_rows(manifest, SplitParams(), 0)
    assert split.method == "grouped"
    assert pd.Series(split.names).groupby(manifest["group"]).nunique().max() == 1
    assert (split.names == "test").mean() == pytest.approx(0.25, abs=0.03)
    assert (split.names == "valid").mean() == pytest.approx(0.15, abs=0.03)
    assert manifest["label"][split.names == "test"].mean() == pytest.approx(manifest["label"].mean(), abs=0.04)


def test_grouped_split_unlabelled_rows_follow_their_group():
    manifest = make_manifest(group_size=4)
    manifest.loc[manifest.index % 4 == 1, "label"] = np.nan
    split = split_rows(manifest, SplitParams(), 0)
    assert pd.Series(split.names).groupby(manifest["group"]).nunique().max() == 1
    assert (split.names[manifest["label"].isna()] == "test").any()


def test_stratified_split_unlabelled_rows_are_training_rows():
    manifest = make_manifest()
    manifest.loc[:49, "label"] = np.nan
    split = split_rows(manifest, SplitParams(), 0)
    assert set(split.names[:50]) == {"train"}
    assert (split.names == "test").sum() == pytest.approx(0.25 * 350, abs=1)


def test_temporal_split_test_is_latest_and_valid_next():
    days = np.random.default_rng(1).permutation(400)
    manifest = make_manifest(days=days)
    split = split_rows(manifest, SplitParams(), 0)
    assert split.method == "temporal"
    time = manifest["time"]
    assert time[split.names == "train"].max() < time[split.names == "valid"].min()
    assert time[split.names == "valid"].max() < time[split.names == "test"].min()
    assert split.report["rows"] == {"train": 240, "valid": 60, "test": 100}
    assert split.report["test_from"] == (pd.Timestamp("2020-01-01") + pd.Timedelta(days=300)).isoformat()


def test_temporal_split_equal_days_are_not_cut_apart():
    manifest = make_manifest(days=np.repeat([0, 30, 60, 90], 100))
    split = split_rows(manifest, SplitParams(), 0)
    assert (split.names[300:] == "test").all()
    assert not (split.names[:300] == "test").any()


def test_temporal_split_straddling_groups_stay_in_train_and_are_counted():
    manifest = make_manifest(days=np.arange(400))
    manifest.loc[[10, 350], "group"] = "borrower"
    manifest.loc[[20, 390, 395], "group"] = "other"
    split = split_rows(manifest, SplitParams(), 0)
    assert (split.names[[10, 350, 20, 390, 395]] == "train").all()
    assert split.report["test_straddling_groups_kept_in_train"] == 2
    assert split.report["test_straddling_rows_kept_in_train"] == 3


def test_temporal_split_rows_without_time_are_kept_in_train_and_counted():
    manifest = make_manifest(days=np.arange(400))
    manifest.loc[[5, 399], "time"] = pd.NaT
    split = split_rows(manifest, SplitParams(), 0)
    assert (split.names[[5, 399]] == "train").all()
    assert split.report["test_rows_without_time_kept_in_train"] == 2


def test_temporal_split_test_from_is_the_first_test_day():
    manifest = make_manifest(days=np.arange(400))
    split = split_rows(manifest, SplitParams(test_from="2020-12-01"), 0)
    assert ((manifest["time"] >= "2020-12-01") == (split.names == "test")).all()


def test_source_split_has_no_test_and_is_not_by_time():
    manifest = make_manifest(days=np.arange(400))
    split = split_rows(manifest, SplitParams(), 0, has_test=False)
    assert split.report["rows"] == {"train": 340, "valid": 60, "test": 0}
    assert split.method == "stratified"


@pytest.mark.parametrize(
    ("params", "days", "error", "words"),
    [
        (SplitParams(test_fraction=0.6, valid_fraction=0.4), None, BadParamsError, "leave no training rows"),
        (SplitParams(method="temporal"), None, BadInputError, "two different times"),
        (SplitParams(test_from="2031-01-01"), np.arange(400), BadInputError, "times reach from"),
        (SplitParams(test_from="soon"), np.arange(400), BadParamsError, "'soon' is no day"),
        (SplitParams(method="stratified", test_from="2020-05-01"), np.arange(400), BadParamsError, "split by time"),
    ],
)
def test_split_impossible_choice_is_a_clear_error(params, days, error, words):
    with pytest.raises(error, match=words):
        split_rows(make_manifest(days=days), params, 0)


def test_split_stratified_on_groups_is_refused():
    with pytest.raises(BadParamsError, match="cut groups apart"):
        split_rows(make_manifest(group_size=2), SplitParams(method="stratified"), 0)


def test_split_one_row_of_a_class_is_a_clear_error():
    manifest = make_manifest()
    manifest["label"] = 0.0
    manifest.loc[0, "label"] = 1.0
    with pytest.raises(BadInputError, match="two labelled rows of every class"):
        split_rows(manifest, SplitParams(), 0)


def test_split_too_few_groups_is_a_clear_error():
    manifest = make_manifest(num_rows=12, group_size=6)
    manifest["label"] = np.arange(12) % 2.0
    with pytest.raises(BadInputError, match="2 groups"):
        split_rows(manifest, SplitParams(), 0)


def test_grouped_split_of_many_groups_keeps_them_whole_and_near_the_fractions():
    manifest = make_manifest(num_rows=5_000, group_size=2)
    split = split_rows(manifest, SplitParams(), 0)
    assert pd.Series(split.names).groupby(manifest["group"]).nunique().max() == 1
    assert (split.names == "test").mean() == pytest.approx(0.25, abs=0.01)
    assert manifest["label"][split.names == "test"].mean() == pytest.approx(manifest["label"].mean(), abs=0.02)


def test_temporal_split_one_day_before_the_test_period_draws_valid_by_label():
    manifest = make_manifest(days=np.repeat([0, 30], [300, 100]))
    split = split_rows(manifest, SplitParams(), 0)
    assert split.report["rows"] == {"train": 240, "valid": 60, "test": 100}
    assert (split.report["test_method"], split.report["valid_method"]) == ("temporal", "stratified")
