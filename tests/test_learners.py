"""Contract of every registered learner, and oracles for the linear and tree learners."""

import pickletools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression as PlainLogisticRegression
from sklearn.metrics import roc_auc_score
from small_tables import LEVELS, PURPOSES, make_table, with_strange_values

from core.data.samples import concatenate
from core.errors import BadInputError, BadParamsError
from core.learners import LEARNERS, load_learner, save_learner
from core.learners.centred_ridge import fit_centred_ridge, penalised_loss
from core.learners.inner_folds import inner_folds
from core.learners.table_encoding import LinearEncoding, tree_matrix
from core.learners.tree_ensemble import monotone_constraints
from core.threads import num_threads

SMALL_OPTIONS = {
    "boosted_trees": {"num_rounds": 60, "early_stopping_rounds": 10, "learning_rate": 0.1},
    "random_forest": {"num_trees": 50},
    "kernel_logistic": {"num_waves": 100},
    "blend": {
        "parts": [
            {"learner": "logistic_regression", "options": {"strength": 3.0}},
            {"learner": "random_forest", "options": {"num_trees": 30}},
        ],
        "num_folds": 3,
    },
}
TABLE_LEARNERS = [name for name in LEARNERS if not (LEARNERS[name].needs_torch or LEARNERS[name].is_one_class)]


def make_learner(name, seed=0):
    return LEARNERS[name](SMALL_OPTIONS.get(name, {}), seed=seed)


@pytest.fixture(scope="module")
def table():
    return make_table()


@pytest.fixture(scope="module")
def fitted(table):
    memory = {}

    def fit(name):
        if name not in memory:
            memory[name] = make_learner(name).fit(table)
        return memory[name]

    return fit


@pytest.mark.parametrize("name", list(LEARNERS))
def test_learner_module_is_named_like_its_entry(name):
    assert LEARNERS[name].__module__ == f"core.learners.{name}"


@pytest.mark.parametrize("name", TABLE_LEARNERS)
def test_learner_on_strange_rows_gives_valid_probabilities(name, fitted, table):
    probability = fitted(name).predict_probability(with_strange_values(table))
    assert probability.shape == (len(table), 2)
    assert np.all((probability >= 0) & (probability <= 1))
    np.testing.assert_allclose(probability.sum(axis=1), 1.0, atol=1e-12)


@pytest.mark.parametrize("name", TABLE_LEARNERS)
def test_learner_on_new_rows_ranks_better_than_chance(name, fitted):
    fresh = make_table(400, seed=5)
    assert roc_auc_score(fresh.labels, fitted(name).predict_probability(fresh)[:, 1]) > 0.68


@pytest.mark.parametrize("name", TABLE_LEARNERS)
def test_learner_after_reload_gives_equal_probabilities(name, fitted, table, tmp_path):
    rows = with_strange_values(table)
    save_learner(fitted(name), tmp_path / "learner")
    loaded = load_learner(tmp_path / "learner")
    assert np.array_equal(loaded.predict_probability(rows), fitted(name).predict_probability(rows))
    assert loaded.options == fitted(name).options


@pytest.mark.parametrize("name", TABLE_LEARNERS)
def test_learner_saved_files_hold_no_pickle(name, fitted, tmp_path):
    save_learner(fitted(name), tmp_path / "learner")
    files = [path for path in (tmp_path / "learner").rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert path.suffix in {".json", ".ubj", ".safetensors"}
        content = path.read_bytes()
        assert not content.startswith(b"\x80")
        with pytest.raises(Exception):  # noqa: B017 - any failure will do: it must not parse as a pickle
            list(pickletools.genops(content))


@pytest.mark.parametrize("name", TABLE_LEARNERS)
def test_learner_with_the_same_seed_gives_the_same_probabilities(name, fitted, table):
    again = make_learner(name).fit(table)
    assert np.array_equal(again.predict_probability(table), fitted(name).predict_probability(table))


@pytest.mark.parametrize("name", TABLE_LEARNERS)
def test_learner_with_a_weight_of_zero_forgets_the_row(name, fitted, table):
    poison = make_table(80, seed=9, slope=-3.0)
    both = concatenate([table, poison.with_weights(np.zeros(80))])
    learned = make_learner(name).fit(both).predict_probability(table)
    assert np.array_equal(learned, fitted(name).predict_probability(table))


@pytest.mark.parametrize("name", TABLE_LEARNERS)
def test_learner_with_heavy_rows_follows_them(name, table):
    weights = np.where(table.labels == 1, 5.0, 1.0)
    heavy = make_learner(name).fit(table.with_weights(weights)).predict_probability(table)
    plain = make_learner(name).fit(table).predict_probability(table)
    assert heavy[:, 1].mean() > plain[:, 1].mean() + 0.1


@pytest.mark.parametrize("name", TABLE_LEARNERS)
def test_learner_leaves_its_arguments_as_they_were(name, table):
    before = table.inputs.copy(deep=True)
    make_learner(name).fit(table).predict_probability(table)
    pd.testing.assert_frame_equal(table.inputs, before)


@pytest.mark.parametrize("name", TABLE_LEARNERS)
def test_learner_without_both_classes_refuses(name, table):
    for labels in (np.zeros(len(table)), np.full(len(table), np.nan)):
        with pytest.raises(BadParamsError, match=r"one class|no labelled"):
            make_learner(name).fit(replace(table, labels=labels))


@pytest.mark.parametrize("name", list(LEARNERS))
def test_learner_with_a_misspelt_option_names_the_nearest(name):
    known = next(iter(LEARNERS[name].Options.__dataclass_fields__))
    with pytest.raises(BadParamsError, match=f"Did you mean '{known}'"):
        LEARNERS[name]({known + "x": 1})


@pytest.mark.parametrize("name", TABLE_LEARNERS)
def test_learner_on_a_missing_column_names_it(name, fitted, table):
    renamed = replace(table, inputs=table.inputs.rename(columns={"months": "month"}))
    with pytest.raises(BadInputError, match=r"months.*'month'"):
        fitted(name).predict_probability(renamed)


@pytest.mark.parametrize("name", TABLE_LEARNERS)
def test_learner_with_few_labels_still_fits(name, table):
    few = table.take(np.r_[np.flatnonzero(table.labels == 1)[:1], np.flatnonzero(table.labels == 0)[:5]])
    probability = make_learner(name).fit(few).predict_probability(table)
    assert np.isfinite(probability).all()


@pytest.mark.parametrize("name", TABLE_LEARNERS)
def test_contributions_of_two_rows_differ_as_their_log_odds_do(name, fitted, table):
    learner = fitted(name)
    values = learner.contributions(table)
    assert set(values.columns) <= {"amount", "months", "purpose", "level"}
    logits = learner.predict_logits(table)
    np.testing.assert_allclose(values.sum(axis=1) - values.sum(axis=1).iloc[0], logits - logits[0], atol=1e-4)


def test_centred_ridge_without_a_centre_equals_scikit_learn():
    random = np.random.default_rng(0)
    design, weights = random.normal(size=(300, 6)), random.uniform(0.2, 3, 300)
    targets = (design[:, 0] + random.normal(size=300) > 0).astype(int)
    plain = PlainLogisticRegression(C=1 / 2.5, tol=1e-10, max_iter=5000)
    plain.fit(design, targets, sample_weight=weights)
    found = fit_centred_ridge(design, targets, weights, 2.5)
    np.testing.assert_allclose(found, np.r_[plain.intercept_, plain.coef_[0]], atol=1e-5)


def test_centred_ridge_loss_equals_a_plain_loop_and_its_gradient_a_difference_quotient():
    random = np.random.default_rng(1)
    design, targets, weights = random.normal(size=(20, 3)), random.integers(0, 2, 20), random.random(20)
    point, centre = random.normal(size=4), random.normal(size=4)
    loss = 0.0
    for row in range(20):
        logit = point[0] + sum(point[1 + k] * design[row, k] for k in range(3))
        chance = 1 / (1 + np.exp(-logit))
        loss -= weights[row] * np.log(chance if targets[row] else 1 - chance)
    loss += 1.7 / 2 * sum((point[k] - centre[k]) ** 2 for k in (1, 2, 3))
    told, gradient = penalised_loss(point, design, targets, weights, 1.7, centre)
    assert told == pytest.approx(loss)
    for k in range(4):
        step = np.eye(4)[k] * 1e-6
        up = penalised_loss(point + step, design, targets, weights, 1.7, centre)[0]
        down = penalised_loss(point - step, design, targets, weights, 1.7, centre)[0]
        assert gradient[k] == pytest.approx((up - down) / 2e-6, abs=1e-5)


@pytest.mark.parametrize("num_columns", [5, 450])  # Newton, and L-BFGS for many columns
def test_centred_ridge_at_its_solution_has_no_gradient(num_columns):
    random = np.random.default_rng(2)
    design, targets = random.normal(size=(200, num_columns)), random.integers(0, 2, 200)
    centre = random.normal(size=num_columns + 1)
    found = fit_centred_ridge(design, targets, np.ones(200), 4.0, centre=centre)
    gradient = penalised_loss(found, design, targets, np.ones(200), 4.0, centre)[1]
    assert np.abs(gradient).max() < 1e-2


def test_centred_ridge_with_a_huge_strength_stays_at_its_centre():
    random = np.random.default_rng(3)
    design, targets = random.normal(size=(100, 3)), random.integers(0, 2, 100)
    centre = np.array([9.0, 1.0, -2.0, 0.5])
    found = fit_centred_ridge(design, targets, np.ones(100), 1e8, centre=centre)
    np.testing.assert_allclose(found[1:], centre[1:], atol=1e-4)
    assert expit(found[0] + design @ found[1:]).mean() == pytest.approx(targets.mean(), abs=1e-6)


def test_logistic_regression_with_a_weight_of_two_equals_the_row_twice(table):
    weights = np.random.default_rng(0).integers(1, 4, len(table)).astype(float)
    weighted = LEARNERS["logistic_regression"]({"strength": 2.0}).fit(table.with_weights(weights))
    repeated = LEARNERS["logistic_regression"]({"strength": 2.0}).fit(
        table.take(np.repeat(np.arange(len(table)), weights.astype(int)))
    )
    np.testing.assert_allclose(weighted.predict_logits(table), repeated.predict_logits(table), atol=1e-6)


def test_linear_encoding_equals_a_plain_loop(table):
    encoding = LinearEncoding.fit(table, min_count=10)
    design = encoding.transform(table)
    known = sorted(value for value in table.inputs["amount"] if value == value)
    median = known[(len(known) + 1) // 2 - 1]  # the lower one, as no row is interpolated
    filled = [median if value != value else value for value in table.inputs["amount"]]
    mean = sum(filled) / len(filled)
    deviation = (sum((value - mean) ** 2 for value in filled) / len(filled)) ** 0.5
    np.testing.assert_allclose(design[:, 0], [(value - mean) / deviation for value in filled])
    np.testing.assert_array_equal(design[:, 1], table.inputs["amount"].isna())
    first_category = encoding.owners.index("purpose")
    kept = [p for p in sorted(PURPOSES) if (table.inputs["purpose"] == p).sum() >= 10]
    for offset, purpose in enumerate(kept):
        np.testing.assert_array_equal(design[:, first_category + offset], table.inputs["purpose"] == purpose)
    rare = set(PURPOSES) - set(kept)
    assert rare
    np.testing.assert_array_equal(design[:, first_category + len(kept)], table.inputs["purpose"].isin(rare).to_numpy())
    ranks = np.array([LEVELS.index(value) for value in table.inputs["level"]])
    np.testing.assert_allclose(design[:, -1], (ranks - ranks.mean()) / ranks.std())


@pytest.mark.parametrize("numbers", ["standard", "quantile", "spline"])
def test_linear_encoding_outside_the_training_range_stays_at_its_edge(numbers, table):
    encoding = LinearEncoding.fit(table, numbers=numbers)
    frame = table.inputs.copy()
    frame["amount"] = frame["amount"].max()
    edge = encoding.transform(replace(table, inputs=frame))
    frame["amount"] = 1e9
    np.testing.assert_array_equal(encoding.transform(replace(table, inputs=frame)), edge)
    again = LinearEncoding.from_dict(encoding.to_dict())
    np.testing.assert_array_equal(again.transform(table), encoding.transform(table))


def test_tree_matrix_holds_numbers_codes_and_gaps(table):
    rows = with_strange_values(table)
    schema = table.schema.without(["story"])
    matrix = tree_matrix(rows, schema)
    assert matrix.feature_types == ["q", "q", "c", "q"]
    dense = np.full((len(rows), 4), np.nan)
    sparse = matrix.get_data().tocoo()
    dense[sparse.row, sparse.col] = sparse.data
    assert np.isnan(dense[0, 2])  # unseen category
    assert np.isnan(dense[1, 3])  # unseen level
    assert np.isnan(dense[2, 0])  # infinite
    assert np.isnan(dense[3]).all()
    assert dense[4, 2] == sorted(PURPOSES).index(rows.inputs.loc[4, "purpose"])


def test_boosted_trees_with_monotone_demand_obey_it(table):
    assert monotone_constraints(table.schema.without(["story"])) == "(1,0,0,-1)"
    learner = LEARNERS["boosted_trees"]({**SMALL_OPTIONS["boosted_trees"], "use_monotone": True}).fit(table)
    frame = pd.concat([table.inputs.iloc[[4]]] * 50, ignore_index=True)
    frame["amount"] = np.linspace(-3, 3, 50)
    line = learner.predict_logits(replace(table.take(np.arange(50)), inputs=frame))
    assert np.all(np.diff(line) >= 0)
    assert line[-1] > line[0]


def test_boosted_trees_with_valid_keep_the_best_round_only(table):
    options = {"num_rounds": 300, "learning_rate": 0.3, "early_stopping_rounds": 5}
    valid = make_table(200, seed=8)
    learner = LEARNERS["boosted_trees"](options).fit(table, valid)
    rounds = learner.boosters_[0].num_boosted_rounds()
    assert rounds < 295
    everything = LEARNERS["boosted_trees"]({**options, "early_stopping_rounds": 0}).fit(table)
    assert everything.boosters_[0].num_boosted_rounds() == 300


def test_boosted_trees_with_bags_average_their_log_odds(table):
    learner = LEARNERS["boosted_trees"]({**SMALL_OPTIONS["boosted_trees"], "num_bags": 3}).fit(table)
    matrix = tree_matrix(table, learner.schema_)
    margins = [booster.predict(matrix, output_margin=True) for booster in learner.boosters_]
    assert not np.array_equal(margins[0], margins[1])
    np.testing.assert_allclose(learner.predict_logits(table), sum(margin.astype(float) for margin in margins) / 3)


def test_inner_folds_with_groups_keep_them_whole(table):
    grouped = replace(table, groups=(np.arange(len(table)) // 4).astype(str))
    folds = inner_folds(grouped, 5, seed=0)
    assert sorted(np.concatenate([held for _, held in folds])) == list(range(len(table)))
    for fit_rows, held_rows in folds:
        assert not set(grouped.groups[fit_rows]) & set(grouped.groups[held_rows])


def test_domain_tagged_scores_every_row_as_the_target(table):
    source = make_table(240, seed=3, domain="source")
    source = replace(source, labels=np.where(np.arange(240) < 200, 1.0, 0.0))  # far more defaults
    both = concatenate([source, table])
    told = {"options": {"strength": 0.1}, "target_domain": "target"}
    learner = LEARNERS["domain_tagged"](told).fit(both)
    as_target = learner.predict_probability(replace(source, domains=table.domains))
    assert np.array_equal(learner.predict_probability(source), as_target)
    own = LEARNERS["domain_tagged"]({**told, "target_domain": ""}).fit(both)
    assert own.predict_probability(source)[:, 1].mean() > as_target[:, 1].mean() + 0.1


def test_score_stacked_feature_is_the_source_log_odds(table, tmp_path):
    source = make_table(300, seed=4, domain="source")
    learner = LEARNERS["score_stacked"]({"target_domain": "target"}).fit(concatenate([source, table]))
    alone = LEARNERS["logistic_regression"]().fit(source)
    np.testing.assert_array_equal(learner.sources_["source"].predict_logits(table), alone.predict_logits(table))
    augmented = table.inputs.assign(_score_of_source=alone.predict_logits(table))
    assert "_score_of_source" in learner.inner_.encoding_.owners
    inner_rows = replace(table, inputs=augmented)
    np.testing.assert_array_equal(learner.predict_logits(table), learner.inner_.predict_logits(inner_rows))
    values = learner.contributions(table)
    assert set(values.columns) == {"amount", "months", "purpose", "level"}
    logits = learner.predict_logits(table)
    np.testing.assert_allclose(values.sum(axis=1) - values.sum(axis=1).iloc[0], logits - logits[0], atol=1e-8)
    save_learner(learner, tmp_path / "stacked")
    assert np.array_equal(load_learner(tmp_path / "stacked").predict_logits(table), logits)


def test_kernel_waves_product_approximates_the_gaussian_kernel(table):
    learner = LEARNERS["kernel_logistic"]({"num_waves": 4000}).fit(table)
    design = learner.encoding_.transform(table)[:40]
    waves = learner._waves(design)
    scaled = design * learner.arrays_["scales"]
    mean_squared = np.mean(
        [np.sum((a - b) ** 2) for a in learner.encoding_.transform(table) * learner.arrays_["scales"] for b in scaled]
    )
    gamma = learner.options.width / mean_squared
    for first in range(0, 40, 7):
        for second in range(40):
            exact = np.exp(-gamma * np.sum((scaled[first] - scaled[second]) ** 2))
            assert waves[first] @ waves[second] == pytest.approx(exact, abs=0.06)


def test_num_threads_reads_the_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert num_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert num_threads() >= 1
