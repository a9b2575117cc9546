import itertools

import numpy as np
import pandas as pd
import pytest
from two_lenders import FAR, NEAR, TOY, far_rows, near_rows, toy_params, write_lender

from core.artifacts import Artifacts
from core.data.label_budget import draw_budget, keep_labels, mask_labels
from core.data.prepared import open_prepared, read_manifest
from core.data.samples import Samples
from core.errors import BadParamsError
from core.stages.prepare import prepare


def make_manifest(num_rows=300, *, group_size=1) -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "sample_id": [f"d/{row}" for row in range(num_rows)],
            "group": [f"g{row // group_size}" for row in range(num_rows)],
            "label": (random.random(num_rows) < 0.3).astype(float),
            "split": np.where(
                np.arange(num_rows) % 4 == 0, "test", np.where(np.arange(num_rows) % 5, "train", "valid")
            ),
        }
    )


@pytest.mark.parametrize("budget", [2, 10, 50, 100])
def test_mask_labels_keeps_the_budget_with_the_classes_shares(budget):
    manifest = make_manifest()
    masked = mask_labels(manifest, budget, 0)
    pool = masked["split"] != "test"
    visible = masked.loc[pool, "label"].dropna()
    assert len(visible) == budget
    assert visible.sum() == pytest.approx(budget * manifest.loc[pool, "label"].mean(), abs=1.0)
    assert visible.nunique() == 2


def test_mask_labels_masked_rows_have_no_label_and_test_rows_keep_theirs():
    manifest = make_manifest()
    masked = mask_labels(manifest, 20, 0)
    assert masked.loc[masked["is_masked"], "label"].isna().all()
    assert masked["is_masked"].sum() == (manifest["split"] != "test").sum() - 20
    is_test = manifest["split"] == "test"
    assert (masked.loc[is_test, "label"] == manifest.loc[is_test, "label"]).all()
    assert manifest["label"].notna().all()  # the argument is not edited


def test_mask_labels_budgets_nest_and_are_deterministic():
    manifest = make_manifest(group_size=3)
    manifest["split"] = "train"
    kept = [set(np.flatnonzero(mask_labels(manifest, budget, 7)["label"].notna())) for budget in (0, 10, 11, 40, 900)]
    for smaller, larger in itertools.pairwise(kept):
        assert smaller <= larger
    assert kept[0] == set()
    assert len(kept[-1]) == 300
    assert kept[3] == set(np.flatnonzero(mask_labels(manifest, 40, 7)["label"].notna()))
    assert kept[3] != set(np.flatnonzero(mask_labels(manifest, 40, 8)["label"].notna()))


def test_mask_labels_groups_stay_whole_within_the_budget():
    manifest = make_manifest(group_size=3)
    manifest["split"] = "train"
    masked = mask_labels(manifest, 31, 0)
    assert masked.groupby("group")["label"].count().isin([0, 3]).all()
    assert masked["label"].notna().sum() == 30


def test_mask_labels_none_masks_nothing():
    masked = mask_labels(make_manifest(), None, 0)
    assert not masked["is_masked"].any()
    assert masked["label"].notna().all()


def test_keep_labels_does_not_depend_on_the_order_of_rows():
    manifest = make_manifest()
    labels, groups = manifest["label"].to_numpy(), manifest["group"].to_numpy(dtype=object)
    order = np.random.default_rng(1).permutation(len(labels))
    kept = keep_labels(labels, groups, 40, 0)
    assert set(groups[kept]) == set(groups[order][keep_labels(labels[order], groups[order], 40, 0)])


def test_keep_labels_negative_budget_is_refused():
    with pytest.raises(BadParamsError, match="below zero"):
        keep_labels(np.array([0.0, 1.0]), np.array(["a", "b"]), -1, 0)


def test_draw_budget_keeps_rows_and_never_reveals_a_masked_label():
    labels = np.array([0.0, 1.0, np.nan, 0.0, 1.0, np.nan] * 10)
    ids = np.array([f"r{row}" for row in range(60)], dtype=object)
    samples = Samples(pd.DataFrame({"x": np.arange(60.0)}), labels, ids, ids, np.ones(60), ids)
    drawn = draw_budget(samples, 12, seed=0)
    assert len(drawn) == 60
    assert drawn.num_labelled == 12
    assert np.isnan(drawn.labels[np.isnan(labels)]).all()
    assert (drawn.labels[drawn.is_labelled] == labels[drawn.is_labelled]).all()
    assert samples.num_labelled == 40


@pytest.fixture
def prepared(tmp_path):
    write_lender(tmp_path / "data", NEAR, near_rows())
    write_lender(tmp_path / "data", FAR, far_rows())
    params, artifacts = toy_params(label_budget=15), Artifacts(tmp_path / "artifacts", "toy_credit")
    prepare(TOY, params, artifacts, seed=0, data_folder=tmp_path / "data")
    return params, artifacts


def test_open_prepared_masked_labels_never_reach_training_samples(prepared):
    params, artifacts = prepared
    opened = open_prepared(TOY, params, artifacts, splits=("train", "valid", "test", "source_train"))
    assert opened["train"].num_labelled + opened["valid"].num_labelled == 15
    assert len(opened["train"]) + len(opened["valid"]) == 90
    assert opened["test"].num_labelled == 30
    masked = read_manifest(artifacts).query("is_masked")["sample_id"]
    assert len(masked) == 75
    for name in ("train", "valid"):
        hidden = np.isin(opened[name].sample_ids.astype(str), masked.astype(str))
        assert np.isnan(opened[name].labels[hidden]).all()
    assert opened["source_train"].num_labelled > 0


def test_prepared_files_hold_no_column_that_tells_a_masked_label(prepared):
    _, artifacts = prepared
    near = pd.read_parquet(artifacts.path("prepare", "columns/columns_near.parquet"))
    far = pd.read_parquet(artifacts.path("prepare", "columns/columns_far.parquet"))
    assert not {"outcome", "recovered_eur", "loan_id"} & set(near)
    assert not {"loan_status", "late_fees"} & set(far)
    # No column that was written ranks the masked labels perfectly, under whatever name.
    truth = (near_rows()["outcome"] == "bad").to_numpy()
    for name in near.select_dtypes("number"):
        assert abs(np.corrcoef(near[name].fillna(0), truth)[0, 1]) < 0.9


def test_budget_with_groups_larger_than_it_is_drawn_row_by_row():
    num = 120
    samples = Samples(
        inputs=pd.DataFrame({"x": np.arange(num)}),
        labels=np.arange(num) % 2 * 1.0,
        sample_ids=np.array([f"cell{row:03d}" for row in range(num)], dtype=object),
        domains=np.full(num, "line", dtype=object),
        weights=np.ones(num),
        groups=np.repeat(["module_a", "module_b"], 60).astype(object),
    )
    few, more = (draw_budget(samples, budget, seed=3).is_labelled for budget in (10, 50))
    assert few.sum() == 10 and more.sum() == 50
    assert (more | ~few).all()
