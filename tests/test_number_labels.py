"""A domain labelled with numbers: imported, read, split, masked, watched for leaks, refused where classes are due."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import somersd
from sklearn.metrics import roc_auc_score
from small_values import VERTICAL, value_params

from core.artifacts import Artifacts, read_json
from core.data.domain import ColumnSpec, DomainSpec, read_domain_spec, write_domain_spec
from core.data.importing import import_table
from core.data.label_budget import mask_labels
from core.data.label_strata import label_strata
from core.data.labels import read_labels
from core.data.late_labels import add_late_labels
from core.data.leakage import concordance, find_suspects, label_auc
from core.data.table_dataset import read_table_domain
from core.errors import BadInputError, BadParamsError
from core.stages.prepare import prepare

NUM_ROWS = 200


def make_rows(seed=0, *, num_rows=NUM_ROWS, prefix="c"):
    """Cases with a number, a category, a day, a leak of the label and the label itself."""
    random = np.random.default_rng(seed)
    size = random.normal(50.0, 10.0, num_rows)
    cost = 100.0 + 3.0 * size + random.normal(0.0, 8.0, num_rows)
    return pd.DataFrame(
        {
            "case_id": [f"{prefix}{row}" for row in range(num_rows)],
            "day": pd.Timestamp("2025-01-01") + pd.to_timedelta(np.arange(num_rows) // 2, unit="D"),
            "size_cm": size.round(2),
            "place": random.choice(["hall", "yard"], num_rows),
            "twice": (2.0 * cost + random.normal(0.0, 0.5, num_rows)).round(2),
            "cost": cost.round(2),
        }
    )


def bring(tmp_path, rows, name="north", **declared):
    rows.to_csv(tmp_path / "rows.csv", index=False)
    options = {"label": "cost", "key": "case_id", "time": "day", "is_number_label": True, **declared}
    return import_table(tmp_path / "rows.csv", tmp_path / "data", VERTICAL.name, name, **options)


def spec_of(**label):
    return DomainSpec("d", "v", (ColumnSpec("y", kind="number", use="label", **label),))


def run_prepare(tmp_path, **changes):
    params = value_params()
    params = replace(params, prepare=replace(params.prepare, target_domain="north", source_domains=(), **changes))
    artifacts = Artifacts(tmp_path / "artifacts", VERTICAL.name)
    prepare(VERTICAL, params, artifacts, seed=0, data_folder=tmp_path / "data")
    manifest = pd.read_parquet(artifacts.path("prepare", "manifest.parquet"))
    return manifest, read_json(artifacts.path("prepare", "data_report.json"))


def test_import_tells_the_range_and_writes_a_number_without_words(tmp_path):
    rows = make_rows().astype({"cost": object})
    rows.loc[3, "cost"], rows.loc[4, "cost"] = "many", None
    outcome = bring(tmp_path, rows)
    known = pd.to_numeric(rows["cost"], errors="coerce")
    assert f"{NUM_ROWS - 2} rows with a number, {known.min():g} to {known.max():g}." in outcome.notes
    assert [note for note in outcome.notes if "'many'" in note] and outcome.num_unlabelled == 2
    spec = read_domain_spec(outcome.folder)
    assert spec.has_number_label and not spec.positive and not spec.negative
    assert spec.column("cost").kind == "number"


@pytest.mark.parametrize(
    ("values", "declared", "words"),
    [
        ("some words", {}, "does not hold numbers: 200 of 200"),
        (7.0, {}, "holds one number only: 7"),
        (None, {}, "is empty"),
        (None, {"positive": "1"}, "--positive is for classes"),
    ],
)
def test_import_refuses_labels_that_are_no_numbers(tmp_path, values, declared, words):
    with pytest.raises(BadInputError, match=words):
        bring(tmp_path, make_rows().assign(cost=values), **declared)
    assert not (tmp_path / "data" / VERTICAL.name).exists()


def test_further_batch_without_numbers_is_taken_with_a_warning(tmp_path):
    bring(tmp_path, make_rows())
    outcome = bring(tmp_path, make_rows(1, prefix="later").assign(cost=None), batch="second")
    assert outcome.num_unlabelled == NUM_ROWS
    assert any("does not hold different numbers" in note for note in outcome.notes)


def test_read_labels_are_typed_as_the_column_says():
    texts = pd.Series(["1.250,5", "7", "", None, "-1", "word", "gone"], dtype=object)
    found = read_labels(texts, spec_of(decimal=",", allowed=(0, None), missing_values=("gone",)))
    assert np.array_equal(found.values, [1250.5, 7.0, *[np.nan] * 5], equal_nan=True)
    assert found.no_outcome == {"-1": 1, "word": 1} and found.num_missing == 3


def test_number_label_with_words_is_refused_in_domain_yaml():
    with pytest.raises(ValueError, match="is a number, so there are no"):
        replace(spec_of(), positive=("1",))


def test_problems_tell_each_row_that_has_no_number_once(tmp_path):
    rows = make_rows().astype({"cost": object})
    rows.loc[[3, 9], "cost"] = "many"
    rows.loc[4, "cost"] = None
    bring(tmp_path, rows)
    problems = read_table_domain(tmp_path / "data" / VERTICAL.name / "north").problems
    told = problems[problems["column"] == "cost"]
    assert sorted(told["reason"]) == ["label missing: unlabelled", "not a number", "not a number"]
    assert sorted(told["row"].dropna()) == [3, 9]


def test_late_numbers_stand_in_the_place_of_the_first(tmp_path):
    folder = bring(tmp_path, make_rows()).folder
    late = pd.DataFrame({"sample_id": ["north/c0", "north/c1", "north/c2"], "label": ["512.5", "", "1,000"]})
    before = read_table_domain(folder).manifest
    late["sample_id"] = before["sample_id"].head(3)
    add_late_labels(folder, late, "corrections")
    after = read_table_domain(folder).manifest["label"]
    assert after.head(3).tolist()[::2] == [512.5, 1000.0] and np.isnan(after[1])
    assert after.tail(-3).equals(before["label"].tail(-3))
    with pytest.raises(BadInputError, match="1 labels are no allowed number"):
        add_late_labels(folder, late.assign(label=["1", "some", "2"]), "wrong")


def test_prepare_splits_numbers_by_fifths_and_masks_beyond_the_budget(tmp_path):
    bring(tmp_path, make_rows(), time=None)
    whole = run_prepare(tmp_path)[0]
    manifest, report = run_prepare(tmp_path, label_budget=50)
    assert (manifest["split"] == whole["split"]).all()
    fifths = label_strata(whole["label"], is_number=True)
    for split, size in whole["split"].value_counts().items():
        counts = np.bincount(fifths[(whole["split"] == split).to_numpy()].astype(int), minlength=5)
        assert np.abs(counts - size / 5).max() <= 1
    learned = manifest["split"].isin(("train", "valid"))
    assert int((learned & manifest["label"].notna()).sum()) == 50 == report["label_budget"]["given"]
    assert not manifest.loc[manifest["split"] == "test", "label"].isna().any()
    known = manifest["label"].notna()
    assert (manifest.loc[known, "label"] == whole.loc[known, "label"]).all()
    told = {row["split"]: row for row in report["splits"]}
    part = manifest[manifest["split"] == "test"]
    assert told["test"]["label_mean"] == pytest.approx(part["label"].mean()) and "positive_rate" not in told["test"]


def test_prepare_takes_groups_whole_and_time_in_order(tmp_path):
    rows = make_rows()
    bring(tmp_path, rows, time=None, group="day")
    manifest = run_prepare(tmp_path)[0]
    assert manifest.groupby("group")["split"].nunique().max() == 1 and manifest["group"].nunique() == NUM_ROWS // 2
    bring(tmp_path, rows, name="timed")
    data = tmp_path / "data" / VERTICAL.name
    (data / "north").rename(data / "unused")
    (data / "timed").rename(data / "north")
    write_domain_spec(data / "north", replace(read_domain_spec(data / "north"), name="north"))
    manifest = run_prepare(tmp_path)[0].set_index("split")["time"]
    assert manifest["test"].min() > manifest["valid"].max() >= manifest["valid"].min() > manifest["train"].max()


def test_prepare_suspects_a_column_that_orders_the_label(tmp_path):
    bring(tmp_path, make_rows())
    (suspect,) = run_prepare(tmp_path)[1]["leakage_suspects"]
    assert suspect["column"] == "twice" and suspect["reason"] == "decides the label (concordance alone)"
    assert suspect["is_strong"] and suspect["number"] > 0.98


def test_prepare_refuses_classes_where_a_number_is_predicted_and_the_other_way_round(tmp_path):
    rows = make_rows()
    bring(tmp_path, rows.assign(cost=np.where(rows["cost"] > 250, "1", "0")), is_number_label=False)
    with pytest.raises(BadInputError, match="predicts a number, and the label 'cost' of domain 'north' is none"):
        run_prepare(tmp_path)


def test_prepare_refuses_two_parts_of_one_number(tmp_path):
    rows = make_rows()
    bring(tmp_path, rows.assign(cost=np.where(np.arange(NUM_ROWS) < 100, rows["cost"], 1.0)))
    with pytest.raises(BadInputError, match=r"test rows of 'north' hold 50 labels of 1 number\(s\); two are needed"):
        run_prepare(tmp_path)


def test_good_only_split_is_for_classes(tmp_path):
    bring(tmp_path, make_rows())
    params = value_params()
    with pytest.raises(BadParamsError, match="good_only"):
        run_prepare(tmp_path, split=replace(params.prepare.split, method="good_only"))


def test_masking_numbers_of_a_few_rows_does_not_fail():
    manifest = pd.DataFrame({"label": [3.0, 1.0, np.nan], "group": list("abc"), "sample_id": list("abc")})
    manifest = manifest.assign(domain="d", time=pd.NaT, split="train")
    masked = mask_labels(manifest, 1, 0, is_number=True)
    assert masked["label"].notna().sum() == 1 and masked["is_masked"].tolist().count(True) == 1


def random_pair(seed, *, num_truth, num_scores):
    random = np.random.default_rng(seed)
    return random.integers(0, num_truth, 60).astype(float), random.integers(0, num_scores, 60).astype(float)


@pytest.mark.parametrize("seed", range(5))
def test_concordance_counts_pairs(seed):
    truth, scores = random_pair(seed, num_truth=6, num_scores=5)
    points = [
        1.0 if (scores[i] - scores[j]) * (truth[i] - truth[j]) > 0 else 0.5 * (scores[i] == scores[j])
        for i in range(60)
        for j in range(i)
        if truth[i] != truth[j]
    ]
    assert concordance(truth, scores) == pytest.approx(np.mean(points))
    assert concordance(truth, scores) == pytest.approx(0.5 + somersd(truth, scores).statistic / 2)


@pytest.mark.parametrize("seed", range(5))
def test_concordance_of_two_classes_is_the_auc(seed):
    truth, scores = random_pair(seed, num_truth=2, num_scores=7)
    assert concordance(truth, scores) == pytest.approx(roc_auc_score(truth, scores))


def test_concordance_of_equal_scores_is_one_half():
    assert concordance(np.arange(5.0), np.ones(5)) == 0.5


def test_category_that_tells_the_number_is_a_suspect_and_few_rows_tell_nothing():
    truth = np.repeat([1.0, 2.0, 3.0, 4.0], 30)
    words = pd.Series([f"k{value:.0f}" for value in truth])
    assert label_auc(words, truth, "category", is_number=True) > 0.98
    assert label_auc(words.head(4), truth[:4], "category", is_number=True) == 0.5
    noise = pd.Series(np.random.default_rng(0).choice(["a", "b"], len(truth)))
    assert label_auc(noise, truth, "category", is_number=True) < 0.65


def test_suspects_look_at_no_label_of_the_test_rows(tmp_path):
    rows = read_table_domain(bring(tmp_path, make_rows()).folder)
    manifest = rows.manifest.assign(split="test")
    assert [
        s for s in find_suspects(rows.spec, manifest, rows.columns) if "concordance" in s.reason and s.is_strong
    ] == []
