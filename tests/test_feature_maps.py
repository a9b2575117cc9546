"""Oracles of the closed-form maps, and what all of them must keep."""

import numpy as np
import pytest

from core.alignments.feature_maps import (
    FEATURE_MAPS,
    CommonUnits,
    CoralMap,
    DropShifted,
    StandardiseMap,
    SubspaceAlignment,
    fit_maps,
    kolmogorov_smirnov,
    principal_axes,
    symmetric_power,
)
from core.errors import BadInputError, BadParamsError


def make_domains(num_source=60, num_target=50, num_features=4, seed=0):
    random = np.random.default_rng(seed)
    mixing = random.normal(size=(num_features, num_features))
    source = random.normal(size=(num_source, num_features)) @ mixing + 1.0
    target = 2.0 * random.normal(size=(num_target, num_features)) @ mixing.T - 3.0
    return source, target


@pytest.mark.parametrize("name", list(FEATURE_MAPS))
def test_map_after_reload_maps_equally_and_keeps_its_inputs(name):
    source, target = make_domains()
    before = source.copy(), target.copy()
    fitted = FEATURE_MAPS[name]().fit(source, target)
    again = FEATURE_MAPS[name].from_arrays(fitted.to_arrays())
    assert np.array_equal(again.map_source(source), fitted.map_source(source))
    assert np.array_equal(again.map_target(target), fitted.map_target(target))
    assert np.array_equal(source, before[0]) and np.array_equal(target, before[1])
    assert fitted.map_source(source).shape[1] == fitted.map_target(target).shape[1]


@pytest.mark.parametrize("name", list(FEATURE_MAPS))
def test_map_of_a_constant_feature_stays_finite(name):
    source, target = make_domains()
    source[:, 0], target[:, 0], target[:, 1] = 5.0, 5.0, 2.0
    fitted = FEATURE_MAPS[name]().fit(source, target)
    assert np.isfinite(fitted.map_source(source)).all() and np.isfinite(fitted.map_target(target)).all()


@pytest.mark.parametrize("name", list(FEATURE_MAPS))
def test_map_of_more_features_than_rows_stays_finite(name):
    source, target = make_domains(6, 5, 12)
    fitted = FEATURE_MAPS[name]().fit(source, target)
    assert np.isfinite(fitted.map_source(source)).all() and np.isfinite(fitted.map_target(target)).all()


def test_standardise_equals_each_domains_units_by_loops():
    source, target = make_domains()
    fitted = StandardiseMap().fit(source, target)
    for rows, found in ((source, fitted.map_source(source)), (target, fitted.map_target(target))):
        for column in range(rows.shape[1]):
            values = list(rows[:, column])
            mean = sum(values) / len(values)
            sd = (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
            np.testing.assert_allclose(found[:, column], [(value - mean) / sd for value in values])


def test_common_units_equal_those_of_all_rows():
    source, target = make_domains()
    rows = np.concatenate([source, target])
    fitted = CommonUnits().fit(source, target)
    np.testing.assert_allclose(fitted.map_target(target), (target - rows.mean(axis=0)) / rows.std(axis=0))
    assert np.array_equal(fitted.map_source(target), fitted.map_target(target))


def test_coral_map_without_ridge_gives_the_source_the_targets_covariance():
    source, target = make_domains()
    fitted = CoralMap(ridge=0.0).fit(source, target)
    np.testing.assert_allclose(
        np.cov(fitted.map_source(source), rowvar=False), np.cov(target, rowvar=False), rtol=1e-6, atol=1e-8
    )
    np.testing.assert_allclose(fitted.map_source(source).mean(axis=0), 0.0, atol=1e-9)
    np.testing.assert_allclose(fitted.map_target(target), target - target.mean(axis=0))


def test_coral_map_equals_the_formula_by_matrix_roots():
    from scipy.linalg import inv, sqrtm

    source, target = make_domains()
    of_source, of_target = np.cov(source, rowvar=False), np.cov(target, rowvar=False)
    added = 0.7 * (np.trace(of_source) + np.trace(of_target)) / 8 * np.eye(4)
    expected = (source - source.mean(axis=0)) @ inv(sqrtm(of_source + added)) @ sqrtm(of_target + added)
    np.testing.assert_allclose(CoralMap(ridge=0.7).fit(source, target).map_source(source), expected, rtol=1e-8)


def test_symmetric_power_of_one_half_squares_to_the_matrix():
    matrix = np.cov(make_domains()[0], rowvar=False)
    root = symmetric_power(matrix, 0.5)
    np.testing.assert_allclose(root @ root, matrix)


def test_subspace_alignment_equals_the_formula_by_sklearn_axes():
    from sklearn.decomposition import PCA

    source, target = make_domains(num_features=5)
    source_units, target_units = ((rows - rows.mean(0)) / rows.std(0) for rows in (source, target))
    source_axes = PCA(2).fit(source_units).components_.T
    target_axes = PCA(2).fit(target_units).components_.T
    fitted = SubspaceAlignment(num_components=2).fit(source, target)
    expected = source_units @ source_axes @ source_axes.T @ target_axes
    np.testing.assert_allclose(np.abs(fitted.map_source(source)), np.abs(expected), atol=1e-9)
    np.testing.assert_allclose(np.abs(fitted.map_target(target)), np.abs(target_units @ target_axes), atol=1e-9)


def test_subspace_alignment_of_equal_domains_maps_them_equally():
    source, _ = make_domains()
    fitted = SubspaceAlignment(num_components=3).fit(source, source)
    np.testing.assert_allclose(fitted.map_source(source), fitted.map_target(source), atol=1e-9)


def test_kolmogorov_smirnov_equals_the_definition_by_loops():
    source, target = make_domains(15, 11)
    target[:3, 1] = source[:3, 1]  # ties
    expected = []
    for column in range(4):
        first, second = source[:, column], target[:, column]
        gaps = [
            abs(sum(v <= x for v in first) / len(first) - sum(v <= x for v in second) / len(second))
            for x in [*first, *second]
        ]
        expected.append(max(gaps))
    np.testing.assert_allclose(kolmogorov_smirnov(source, target), expected)


def test_drop_shifted_keeps_the_features_that_did_not_move():
    random = np.random.default_rng(0)
    source, target = random.normal(size=(80, 4)), random.normal(size=(70, 4))
    target[:, [0, 2]] += 2.0
    fitted = DropShifted(keep_fraction=0.5).fit(source, target)
    assert fitted.kept_.tolist() == [1, 3]
    assert np.array_equal(fitted.map_target(target), target[:, [1, 3]])


def test_principal_axes_of_large_matrices_span_the_exact_subspace():
    random = np.random.default_rng(0)
    rows = random.normal(size=(700, 5)) * [9, 7, 5, 3, 2] @ random.normal(size=(5, 640))
    rows += 0.01 * random.normal(size=rows.shape)
    found = principal_axes(rows, 5)
    exact = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)[2][:5]
    np.testing.assert_allclose(np.abs(found.T @ exact.T), np.eye(5), atol=1e-3)
    assert np.array_equal(found, principal_axes(rows, 5))


def test_fit_maps_fits_each_on_what_the_one_before_gives():
    source, target = make_domains()
    first, second = fit_maps(["drop_shifted", "standardise_map"], source, target)
    np.testing.assert_allclose(second.map_target(first.map_target(target)).std(axis=0), 1.0)
    assert len(second.target_mean_) == 2


def test_fit_maps_of_an_unknown_name_offers_the_nearest():
    with pytest.raises(BadParamsError, match="coral_map"):
        fit_maps(["coral_mep"], *make_domains())


@pytest.mark.parametrize("damage", ["gap", "one row", "width"])
def test_fit_maps_of_unusable_features_is_refused(damage):
    source, target = make_domains()
    if damage == "gap":
        target[0, 0] = np.nan
    elif damage == "one row":
        target = target[:1]
    else:
        target = target[:, :3]
    with pytest.raises(BadInputError):
        fit_maps(["standardise_map"], source, target)
