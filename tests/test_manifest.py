import numpy as np
import pandas as pd
import pytest

from core.data.manifest import check_manifest
from core.errors import BadInputError


def make_manifest() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample_id": ["d/0", "d/1", "d/2", "d/3", "d/4"],
            "domain": "d",
            "label": [0.0, 1.0, np.nan, 1.0, 0.0],
            "group": ["a", "b", "c", "d", "d"],
            "time": pd.to_datetime(["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01", "2020-05-01"]),
            "split": ["train", "train", "valid", "test", "test"],
            "is_masked": [False, False, True, False, False],
        }
    )


def test_check_manifest_sound_passes():
    check_manifest(make_manifest(), temporal_domain="d")


@pytest.mark.parametrize(
    ("column", "row", "value", "words"),
    [
        ("sample_id", 1, "d/0", "share a sample_id (d/0)"),
        ("sample_id", 1, None, "1 rows have no sample_id"),
        ("label", 0, 2.0, "labels are not in 0..1"),
        ("label", 2, 1.0, "masked rows still carry their label"),
        ("split", 0, "holdout", "split other than"),
        ("split", 4, "train", "in more than one split (d)"),
        ("group", 0, None, "1 rows have no group"),
        ("time", 2, pd.Timestamp("2020-04-15"), "not later than its training rows, which reach 2020-04-15"),
    ],
)
def test_check_manifest_one_fault_is_named(column, row, value, words):
    manifest = make_manifest()
    manifest.loc[row, column] = value
    with pytest.raises(BadInputError) as caught:
        check_manifest(manifest, temporal_domain="d")
    assert words in str(caught.value)


def test_check_manifest_masked_test_row_is_refused():
    manifest = make_manifest()
    manifest.loc[3, ["label", "is_masked"]] = [np.nan, True]
    with pytest.raises(BadInputError, match="test rows are masked"):
        check_manifest(manifest)


def test_check_manifest_several_faults_are_all_in_one_error():
    manifest = make_manifest()
    manifest.loc[1, "sample_id"] = "d/0"
    manifest.loc[0, "label"] = 7.0
    manifest.loc[4, "split"] = "train"
    with pytest.raises(BadInputError) as caught:
        check_manifest(manifest)
    for words in ("3 problem(s)", "share a sample_id", "0..1 (7.0)", "more than one split"):
        assert words in str(caught.value)


def test_check_manifest_missing_columns_are_named():
    with pytest.raises(BadInputError, match=r"lacks the columns \['group', 'time'\]"):
        check_manifest(make_manifest().drop(columns=["group", "time"]))


def test_check_manifest_straddling_group_counts_with_its_first_row():
    manifest = make_manifest()
    # A borrower known since February whose later loan falls into the test period stays whole, in training.
    manifest.loc[2, ["group", "split", "time"]] = ["b", "train", pd.Timestamp("2020-06-01")]
    check_manifest(manifest, temporal_domain="d")
