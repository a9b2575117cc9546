"""The map's axes know training rows alone; neighbours equal a brute-force search; distances are 0 alike and 2 apart."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from image_samples import image_samples
from small_defect_model import fit_learner
from two_lenders import FAR, NEAR, TOY, far_rows, near_rows, toy_params, write_lender

from core.artifacts import Artifacts, read_json
from core.data.prepared import PREPARED_SPLITS, open_prepared
from core.data.samples import Samples
from core.data.table_schema import Feature, TableSchema
from core.evaluation.domain_distances import domain_distances, kernel_mmd, proxy_a_distance
from core.evaluation.feature_map import (
    MAP_COLUMNS,
    NEIGHBOUR_COLUMNS,
    PrincipalAxes,
    feature_map,
    fit_axes,
    nearest_neighbours,
)
from core.evaluation.feature_rows import FeatureRows, draw_feature_rows
from core.evaluation.intervals import wilson_interval
from core.params import TrainParams
from core.stages.evaluate import evaluate
from core.stages.prepare import prepare
from core.stages.train import train

CLASSES = ("good", "bad")


def make_rows(*, shift=0.0, test_shift=0.0, num_features=6, seed=0):
    """Rows of every role with random features; the source's are moved by `shift`, the test rows' by `test_shift`."""
    random = np.random.default_rng(seed)
    sizes = {"source_train": 80, "source_valid": 20, "train": 60, "valid": 20, "test": 30}
    roles = np.repeat(list(sizes), list(sizes.values()))
    features = random.normal(size=(len(roles), num_features)) * np.arange(1, num_features + 1)
    features[np.char.startswith(roles, "source")] += shift
    features[roles == "test"] += test_shift
    table = pd.DataFrame(
        {
            "sample_id": [f"row/{k}" for k in range(len(roles))],
            "domain": np.where(np.char.startswith(roles, "source"), "far", "near"),
            "role": roles,
            "label": random.choice(["good", "bad", ""], len(roles), p=[0.5, 0.3, 0.2]),
            "group": [f"group/{k // 2}" for k in range(len(roles))],
        }
    )
    return FeatureRows(table, features, ("",) * num_features, "descriptors of the learner", "", dict(sizes))


def predictions_of(rows, *, threshold=0.5):
    test = rows.table[rows.table["role"] == "test"]
    probability = np.linspace(0, 1, len(test))
    return pd.DataFrame(
        {"sample_id": test["sample_id"], "probability": probability, "is_adverse": probability >= threshold}
    )


def map_of(rows):
    return feature_map(rows, fit_axes(rows), predictions_of(rows), positive_class="bad")


def samples_of(values, *, labels=None, domain="near", names=None):
    """A table of one number a column."""
    num_rows = len(values)
    names = names or [f"value_{k}" for k in range(values.shape[1])]
    ids = np.array([f"{domain}/{k}" for k in range(num_rows)], dtype=object)
    frame = pd.DataFrame(values, columns=names)
    labels = np.zeros(num_rows) if labels is None else labels
    schema = TableSchema(tuple(Feature(name, "number") for name in names))
    return Samples(frame, labels, ids, np.full(num_rows, domain, dtype=object), np.ones(num_rows), ids, schema)


def test_map_moved_test_rows_change_no_other_coordinate():
    plain, moved = map_of(make_rows()), map_of(make_rows(test_shift=50.0))
    is_test = (plain["role"] == "test").to_numpy()
    pd.testing.assert_frame_equal(plain[~is_test], moved[~is_test])
    assert (plain.loc[is_test, ["x", "y"]] != moved.loc[is_test, ["x", "y"]]).to_numpy().all()
    assert list(plain.columns) == list(MAP_COLUMNS)


def test_map_validation_rows_are_not_fitted_on():
    rows = make_rows()
    features = rows.features.copy()
    features[rows.of("valid", "source_valid")] *= 9.0
    first, second = fit_axes(rows), fit_axes(replace(rows, features=features))
    assert np.array_equal(first.axes, second.axes) and np.array_equal(first.means, second.means)


def test_axes_equal_the_eigenvectors_of_the_correlation_matrix():
    features = make_rows().features
    axes = PrincipalAxes.fit(features, 3)
    values, vectors = np.linalg.eigh(np.corrcoef(features.T))
    expected = vectors[:, ::-1][:, :3].T
    expected = expected * np.sign(expected[np.arange(3), np.abs(expected).argmax(axis=1)])[:, None]
    assert np.allclose(axes.axes, expected, atol=1e-6)
    assert np.allclose(axes.explained, values[::-1][:3] / values.sum())
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    assert np.allclose(axes.place(features), standard @ expected.T, atol=1e-5)


def test_axes_sign_is_fixed_whatever_the_order_of_the_rows():
    features = make_rows().features
    first, second = PrincipalAxes.fit(features, 2), PrincipalAxes.fit(features[::-1], 2)
    assert np.allclose(first.axes, second.axes, atol=1e-8)
    assert (first.axes[np.arange(2), np.abs(first.axes).argmax(axis=1)] > 0).all()


def test_axes_feature_that_is_not_known_or_constant_counts_as_its_mean():
    features = make_rows().features
    features[:40, 0] = np.nan
    features[:, 1] = 7.0
    axes = PrincipalAxes.fit(features, 2)
    assert axes.means[0] == pytest.approx(np.nanmean(features[:, 0]))
    assert axes.scales[0] == pytest.approx(np.nanstd(features[:, 0]))
    assert np.allclose(axes.axes[:, 1], 0.0)
    filled = np.where(np.isnan(features), axes.means, features)
    assert np.allclose(axes.place(features), axes.place(filled))


def test_axes_of_rows_that_vary_in_one_direction_have_one_component():
    features = np.outer(np.arange(30.0), np.ones(8))
    axes = PrincipalAxes.fit(features, 3)
    assert axes.axes.shape == (1, 8) and axes.explained == pytest.approx([1.0])
    alike = PrincipalAxes.fit(np.ones((30, 8)), 3)
    assert (alike.place(features) == 0).all()


def test_map_tells_probability_and_error_of_test_rows_alone():
    rows = make_rows()
    table, told = map_of(rows), predictions_of(rows).set_index("sample_id")
    for row in table.itertuples():
        if row.role != "test":
            assert np.isnan(row.probability) and row.is_wrong is pd.NA
            continue
        assert row.probability == told.loc[row.sample_id, "probability"]
        if row.label == "":
            assert row.is_wrong is pd.NA
        else:
            assert row.is_wrong == ((row.probability >= 0.5) != (row.label == "bad"))


def test_neighbours_equal_a_brute_force_search_of_labelled_training_rows():
    rows = make_rows()
    axes = fit_axes(rows)
    found = nearest_neighbours(rows, axes)
    places = axes.place(rows.features)
    table = rows.table
    for test_row in np.flatnonzero(rows.of("test")):
        distances = []
        for k in range(len(table)):
            if table["role"][k] in ("train", "source_train") and table["label"][k] != "":
                distances.append((float(np.sqrt(((places[k] - places[test_row]) ** 2).sum())), k))
        expected = sorted(distances)[:5]
        told = found[found["sample_id"] == table["sample_id"][test_row]]
        assert told["rank"].tolist() == [1, 2, 3, 4, 5]
        assert told["neighbour_id"].tolist() == [table["sample_id"][k] for _, k in expected]
        assert told["neighbour_domain"].tolist() == [table["domain"][k] for _, k in expected]
        assert told["neighbour_label"].tolist() == [table["label"][k] for _, k in expected]
        assert told["distance"].to_numpy() == pytest.approx([distance for distance, _ in expected])
    assert len(found) == 30 * 5 and list(found.columns) == list(NEIGHBOUR_COLUMNS)


def test_neighbours_without_labelled_training_rows_are_an_empty_table():
    rows = make_rows()
    rows = replace(rows, table=rows.table.assign(label=""))
    found = nearest_neighbours(rows, fit_axes(rows))
    assert len(found) == 0 and list(found.columns) == list(NEIGHBOUR_COLUMNS)


def test_proxy_a_distance_is_near_zero_for_equal_and_near_two_for_separated_domains():
    random = np.random.default_rng(0)
    first, second = random.normal(size=(300, 5)), random.normal(size=(400, 5))
    ids, other_ids = (np.array([f"{k}" for k in range(size)]) for size in (300, 400))
    alike = proxy_a_distance(first, second, ids, other_ids, seed=0)
    apart = proxy_a_distance(first, second + 8.0, ids, other_ids, seed=0)
    assert alike["proxy_a_distance"] < 0.25 and alike["proxy_a_distance_low"] == 0.0
    assert apart["proxy_a_distance"] > 1.98
    for told in (alike, apart):
        assert told["rows_a_side"] == 300
        low, high = wilson_interval(round(told["error"] * 600), 600)
        assert (told["error_low"], told["error_high"]) == (low, high)
        assert told["proxy_a_distance"] == pytest.approx(max(2 * (1 - 2 * told["error"]), 0))
        assert told["proxy_a_distance_high"] == pytest.approx(max(2 * (1 - 2 * low), 0))


def test_proxy_a_distance_holds_out_whole_groups():
    """Ten rows of each of ten groups: the groups can be told apart, the domains cannot."""
    random = np.random.default_rng(1)
    centres = random.normal(scale=5.0, size=(2, 10, 8))
    sides = [np.repeat(side, 10, axis=0) + random.normal(scale=0.01, size=(100, 8)) for side in centres]
    of_rows = np.repeat([f"{k}" for k in range(10)], 10)
    each_alone = np.array([f"{k}" for k in range(100)])
    by_group = proxy_a_distance(*sides, of_rows, of_rows, seed=0)
    by_row = proxy_a_distance(*sides, each_alone, each_alone, seed=0)
    assert by_group["proxy_a_distance"] < by_row["proxy_a_distance"] - 0.5


def test_proxy_a_distance_of_too_few_rows_is_none():
    rows, ids = np.zeros((5, 2)), np.arange(5).astype(str)
    assert proxy_a_distance(rows, rows, ids, ids, seed=0) is None


def test_kernel_mmd_equals_plain_loops():
    random = np.random.default_rng(0)
    first, second = random.normal(size=(7, 3)), random.normal(1.0, size=(9, 3))
    both = np.concatenate([first, second])
    squared = [((both[i] - both[j]) ** 2).sum() for i in range(16) for j in range(i)]
    median = np.sort(squared)[(len(squared) - 1) // 2]

    def mean_kernel(rows, others, *, is_within):
        pairs = [(i, j) for i in range(len(rows)) for j in range(len(others)) if not (is_within and i == j)]
        return np.mean([np.exp(-((rows[i] - others[j]) ** 2).sum() / median) for i, j in pairs])

    expected = mean_kernel(first, first, is_within=True) + mean_kernel(second, second, is_within=True)
    expected -= 2 * mean_kernel(first, second, is_within=False)
    assert kernel_mmd(first, second) == pytest.approx(expected)


def test_domain_distances_tell_a_moved_source_from_the_yardstick():
    rows = make_rows(shift=6.0)
    told = domain_distances(rows, fit_axes(rows), "near", seed=0)
    (source,) = told["distances"]
    assert (source["domain"], source["rows"], source["target_rows"]) == ("far", 80, 60)
    assert source["proxy_a_distance"] > told["yardstick"]["proxy_a_distance"] + 0.5
    assert source["mmd_squared"] > told["yardstick"]["mmd_squared"] + 0.05
    assert told["rows"]["test"] == {"rows": 30, "drawn": 30} and len(told["map_explained"]) == 2


def test_domain_distances_read_only_what_both_sides_have():
    rows = make_rows()
    features = rows.features.copy()
    features[rows.of("source_train", "source_valid"), 2] = np.nan
    rows = replace(rows, features=features, columns=("a", "b", "c", "d", "e", "f"))
    (source,) = domain_distances(rows, fit_axes(rows), "near", seed=0)["distances"]
    assert source["left_out"] == ["c"] and source["num_features"] == 5
    assert source["proxy_a_distance"] < 0.7  # that a column is missing is no distance


def test_feature_rows_of_a_table_are_drawn_labelled_first_and_every_domain_alike():
    random = np.random.default_rng(0)
    parts = [random.normal(size=(size, 2)) for size in (900, 100)]
    source = samples_of(np.concatenate(parts))
    source = replace(source, domains=np.repeat(["big", "small"], [900, 100]).astype(object))
    labels = np.where(np.arange(1000) < 30, 1.0, np.nan)
    target = samples_of(random.normal(size=(1000, 2)), labels=labels)
    rows = draw_feature_rows(None, {"source_train": source, "train": target}, CLASSES, seed=0)
    of_source = rows.table[rows.table["role"] == "source_train"]["domain"].value_counts()
    assert of_source.to_dict() == {"big": 500, "small": 100}
    of_target = rows.table[rows.table["role"] == "train"]
    assert len(of_target) == 600 and (of_target["label"] == "bad").sum() == 30
    assert rows.num_rows == {"source_train": 1000, "train": 1000}
    again = draw_feature_rows(None, {"source_train": source, "train": target}, CLASSES, seed=0)
    pd.testing.assert_frame_equal(rows.table, again.table)


def test_feature_rows_column_that_a_domain_lacks_is_not_known_there():
    random = np.random.default_rng(0)
    values = random.normal(size=(60, 2))
    target = samples_of(values, names=["a", "b"])
    source = samples_of(np.column_stack([values[:, 0], np.full(60, np.nan)]), domain="far", names=["a", "b"])
    rows = draw_feature_rows(None, {"source_train": source, "train": target}, CLASSES, seed=0)
    of_b = np.array(rows.columns) == "b"
    assert np.isnan(rows.features[np.ix_(rows.of("source_train"), of_b)]).all()
    assert np.isfinite(rows.features[rows.of("train")]).all() and np.isfinite(rows.features[:, ~of_b]).all()


def test_feature_rows_without_descriptors_are_empty_and_say_why():
    pictures = image_samples(12, size=32, seed=0)[0]
    rows = draw_feature_rows(SimpleNamespace(), {"train": pictures, "test": pictures}, CLASSES, seed=0)
    assert len(rows.table) == 0 and "no descriptors" in rows.reason
    axes = fit_axes(rows)
    assert axes is None
    table = feature_map(
        rows, axes, pd.DataFrame({"sample_id": [], "probability": [], "is_adverse": []}), positive_class="bad"
    )
    assert len(table) == 0 and list(table.columns) == list(MAP_COLUMNS)
    assert len(nearest_neighbours(rows, axes)) == 0
    told = domain_distances(rows, axes, "near", seed=0)
    assert told["reason"] == rows.reason and told["distances"] == [] and told["yardstick"] is None


def test_feature_rows_of_pictures_are_the_learners_descriptors():
    learner, pictures = fit_learner(), image_samples(12, size=32, seed=0)[0]
    rows = draw_feature_rows(learner, {"train": pictures, "test": pictures}, CLASSES, seed=0)
    assert np.allclose(rows.features, np.concatenate([learner.describe(pictures)] * 2))
    assert rows.kind == "descriptors of the learner" and not rows.reason


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """The toy lenders prepared, trained and evaluated."""
    folder = tmp_path_factory.mktemp("toy")
    write_lender(folder / "data", NEAR, near_rows(240))
    write_lender(folder / "data", FAR, far_rows(300))
    params = replace(
        toy_params(),
        train=TrainParams(transfer="pooled", learner="logistic_regression", trackers=()),
    )
    artifacts = Artifacts(folder / "artifacts", "toy_credit")
    prepare(TOY, params, artifacts, seed=0, data_folder=folder / "data")
    train(TOY, params, artifacts, seed=0)
    evaluate(TOY, params, artifacts, seed=0)
    return params, artifacts


def test_evaluate_writes_the_map_the_neighbours_and_the_distances(evaluated):
    params, artifacts = evaluated
    opened = open_prepared(TOY, params, artifacts, splits=PREPARED_SPLITS)
    table = pd.read_parquet(artifacts.path("evaluate", "feature_map.parquet"))
    assert table["role"].value_counts().to_dict() == {role: len(samples) for role, samples in opened.items()}
    predictions = pd.read_parquet(artifacts.path("evaluate", "predictions.parquet")).set_index("sample_id")
    of_test = table[table["role"] == "test"].set_index("sample_id")
    told = predictions.loc[of_test.index]
    assert np.array_equal(of_test["probability"], told["probability_bad"])
    assert np.array_equal(of_test["is_wrong"].astype(bool), told["is_adverse"] != (told["label"] == 1))
    near = pd.read_parquet(artifacts.path("evaluate", "neighbours.parquet"))
    assert set(near["sample_id"]) == set(of_test.index) and (near.groupby("sample_id").size() == 5).all()
    trained = set(opened["train"].sample_ids) | set(opened["source_train"].sample_ids)
    assert set(near["neighbour_id"]) <= trained and set(near["neighbour_label"]) <= {"good", "bad"}
    distances = read_json(artifacts.path("evaluate", "domain_distances.json"))
    assert [source["domain"] for source in distances["distances"]] == ["far"]
    assert distances["distances"][0]["left_out"] == ["rating", "sex"]  # the far lender has neither
    assert distances["reason"] == "" and "income_eur" not in distances["distances"][0]["left_out"]


def test_train_writes_the_ranges_of_its_features(evaluated):
    params, artifacts = evaluated
    told = read_json(artifacts.path("train", "feature_ranges.json"))["features"]
    trained = open_prepared(TOY, params, artifacts, splits=("train",))["train"]
    assert told["income_eur"]["max"] == trained.inputs["income_eur"].max()
    assert told["rating"]["categories"] == ["low", "mid", "high"] and told["rating"]["is_ordered"]
    assert "note" not in told
