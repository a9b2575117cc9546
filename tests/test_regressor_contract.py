"""Contract of every registered regressor, and what labels it refuses."""

import pickletools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from regressor_tables import make_values, rmse
from small_tables import with_strange_values

import core.regression.regressors  # noqa: F401 - registers all
from core.data.samples import concatenate
from core.errors import BadInputError, BadParamsError, VerificationError
from core.regression.regressor import REGRESSORS, check_values, load_regressor, save_regressor
from core.regression.value_folds import value_folds

TREES = {"num_rounds": 60, "early_stopping_rounds": 10, "learning_rate": 0.2, "num_folds": 2}
SMALL_OPTIONS = {
    "boosted_trees": TREES,
    "domain_tagged": {"regressor": "boosted_trees", "options": TREES, "target_domain": "target"},
    "source_offset": {"options": {"strength": 1.0}, "target_domain": "target"},
}


def make_regressor(name, seed=0):
    return REGRESSORS[name](SMALL_OPTIONS.get(name, {}), seed=seed)


@pytest.fixture(scope="module")
def table():
    return concatenate([make_values(120, seed=1), make_values(120, seed=2, domain="other", offset=20.0, slope=4.0)])


@pytest.fixture(scope="module")
def fitted(table):
    memory = {}

    def fit(name):
        if name not in memory:
            memory[name] = make_regressor(name).fit(table)
        return memory[name]

    return fit


@pytest.mark.parametrize("name", list(REGRESSORS))
def test_regressor_module_is_named_like_its_entry(name):
    assert REGRESSORS[name].__module__ == f"core.regression.regressors.{name}"


@pytest.mark.parametrize("name", list(REGRESSORS))
def test_regressor_on_strange_rows_predicts_finite_numbers(name, fitted, table):
    value = fitted(name).predict(with_strange_values(table))
    assert value.shape == (len(table),) and value.dtype == np.float64
    assert np.isfinite(value).all()


@pytest.mark.parametrize("name", [name for name in REGRESSORS if name not in ("median", "ridge", "boosted_trees")])
def test_composite_regressor_on_new_target_rows_beats_their_mean(name, fitted):
    fresh = make_values(300, seed=5)
    assert rmse(fresh, fitted(name).predict(fresh)) < 0.7 * fresh.labels.std()


@pytest.mark.parametrize("name", ["ridge", "boosted_trees"])
def test_regressor_on_new_rows_beats_the_median(name):
    train, fresh = make_values(200, seed=1), make_values(300, seed=5)
    value = make_regressor(name).fit(train).predict(fresh)
    naive = make_regressor("median").fit(train).predict(fresh)
    assert rmse(fresh, value) < 0.5 * rmse(fresh, naive)


@pytest.mark.parametrize("name", list(REGRESSORS))
def test_regressor_after_reload_predicts_and_explains_the_same(name, fitted, table, tmp_path):
    rows = with_strange_values(table)
    save_regressor(fitted(name), tmp_path / "regressor")
    loaded = load_regressor(tmp_path / "regressor")
    assert np.array_equal(loaded.predict(rows), fitted(name).predict(rows))
    pd.testing.assert_frame_equal(loaded.contributions(rows), fitted(name).contributions(rows))
    assert (loaded.options, loaded.seed) == (fitted(name).options, fitted(name).seed)


@pytest.mark.parametrize("name", list(REGRESSORS))
def test_regressor_saved_files_hold_no_pickle(name, fitted, tmp_path):
    save_regressor(fitted(name), tmp_path / "regressor")
    files = [path for path in (tmp_path / "regressor").rglob("*") if path.is_file()]
    assert len(files) >= 2
    for path in files:
        assert path.suffix in {".json", ".ubj"}
        with pytest.raises(Exception):  # noqa: B017 - any failure will do: it must not parse as a pickle
            list(pickletools.genops(path.read_bytes()))


@pytest.mark.parametrize("name", list(REGRESSORS))
def test_regressor_contributions_name_columns_of_the_table_alone(name, fitted, table):
    values = fitted(name).contributions(table)
    assert len(values) == len(table) and np.isfinite(values.to_numpy()).all()
    assert set(values.columns) <= set(table.schema.names())


@pytest.mark.parametrize("name", list(REGRESSORS))
def test_regressor_with_the_same_seed_predicts_the_same_and_edits_nothing(name, fitted, table):
    before = table.inputs.copy(deep=True)
    again = make_regressor(name).fit(table)
    assert np.array_equal(again.predict(table), fitted(name).predict(table))
    pd.testing.assert_frame_equal(table.inputs, before)


@pytest.mark.parametrize("name", list(REGRESSORS))
def test_regressor_never_sees_rows_that_are_masked_or_weigh_nothing(name, fitted, table):
    poison = make_values(60, seed=9, slope=-1e9)
    masked = poison.with_labels(np.full(len(poison), np.nan))
    weightless = poison.with_weights(np.zeros(len(poison)))
    for extra in (masked, weightless):
        found = make_regressor(name).fit(concatenate([table, extra])).predict(table)
        assert np.array_equal(found, fitted(name).predict(table))


@pytest.mark.parametrize("name", list(REGRESSORS))
def test_regressor_with_heavy_rows_follows_them(name, table):
    spread = table.labels.std()
    both = concatenate([table, replace(table, labels=table.labels + 2.0 * spread)])  # each row with two labels
    heavy = both.with_weights(np.repeat([1.0, 9.0], len(table)))
    means = [make_regressor(name).fit(rows).predict(table).mean() for rows in (both, heavy)]
    assert 0.4 * spread < means[1] - means[0] < 1.2 * spread


@pytest.mark.parametrize("name", list(REGRESSORS))
def test_regressor_with_labels_in_another_unit_predicts_in_that_unit(name, fitted, table):
    turned = make_regressor(name).fit(replace(table, labels=1000.0 * table.labels)).predict(table)
    spread = 1000.0 * table.labels.std()
    np.testing.assert_allclose(turned, 1000.0 * fitted(name).predict(table), atol=1e-3 * spread)


@pytest.mark.parametrize("name", list(REGRESSORS))
@pytest.mark.parametrize(
    ("label", "told"), [(np.nan, "no labelled"), (7.25, r"have the label 7\.25"), (np.inf, "/0' is infinite")]
)
def test_regressor_of_labels_that_teach_nothing_refuses(name, label, told, table):
    with pytest.raises((BadParamsError, BadInputError), match=told) as caught:
        make_regressor(name).fit(replace(table, labels=np.full(len(table), label)))
    assert caught.value.repair


@pytest.mark.parametrize("name", [name for name in REGRESSORS if name != "median"])
def test_regressor_with_a_misspelt_option_names_the_nearest(name):
    known = next(iter(REGRESSORS[name].Options.__dataclass_fields__))
    with pytest.raises(BadParamsError, match=f"Did you mean '{known}'"):
        REGRESSORS[name]({known + "x": 1})


def test_median_with_an_option_says_that_there_is_none():
    with pytest.raises(BadParamsError, match=r"unknown key 'regressor_options of Median\.strength'"):
        REGRESSORS["median"]({"strength": 1})


def test_median_is_that_of_rows_given_as_often_as_they_weigh():
    labels, weights = np.array([4.0, 1.0, 9.0, 2.0]), np.array([1.0, 4.0, 1.0, 1.0])
    samples = replace(make_values(4), labels=labels, weights=weights)
    assert REGRESSORS["median"]().fit(samples).predict(samples).tolist() == [np.median([4.0, *[1.0] * 4, 9.0, 2.0])] * 4
    assert REGRESSORS["median"]().fit(samples.with_weights(np.ones(4))).median_ == 2.0  # the lower of 2 and 4


@pytest.mark.parametrize("target_domain", ["target", ""])
def test_domain_tagged_takes_every_row_for_the_targets_where_one_is_told(target_domain, table):
    fitted = REGRESSORS["domain_tagged"]({"target_domain": target_domain}).fit(table)
    rows = make_values(50, seed=5)
    elsewhere = replace(rows, domains=np.full(50, "other"))
    gap = fitted.predict(elsewhere) - fitted.predict(rows)
    np.testing.assert_allclose(gap, 0.0 if target_domain else gap[0], atol=1e-9)
    assert abs(gap[0] - (0.0 if target_domain else 20.0)) < 5.0


def test_labels_of_a_table_without_schema_are_refused():
    with pytest.raises(BadParamsError, match="no table schema"):
        check_values(replace(make_values(5), schema=None))


def test_folder_without_a_regressor_or_of_another_version_is_refused(tmp_path, fitted):
    with pytest.raises(VerificationError, match="no saved regressor"):
        load_regressor(tmp_path)
    save_regressor(fitted("median"), tmp_path)
    header = (tmp_path / "regressor.json").read_text()
    (tmp_path / "regressor.json").write_text(header.replace('"median"', '"medium"'))
    with pytest.raises(VerificationError, match="another version"):
        load_regressor(tmp_path)


def test_value_folds_hold_out_each_row_once_and_whole_groups():
    samples = make_values(60)
    groups = np.array([f"g{k // 4}" for k in range(60)])
    folds = value_folds(replace(samples, groups=groups), 4, seed=0)
    assert sorted(np.concatenate([held for _, held in folds])) == list(range(60))
    for fit, held in folds:
        assert not set(groups[fit]) & set(groups[held])
        assert len(fit) + len(held) == 60


def test_value_folds_of_one_group_or_without_spread_are_none():
    samples = make_values(6)
    assert value_folds(replace(samples, groups=np.full(6, "one")), 5, seed=0) == []
    assert value_folds(samples.take([0, 1]), 5, seed=0) == []  # a single label is left to fit on
