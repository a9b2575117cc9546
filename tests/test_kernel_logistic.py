"""Waves in the kernel's learner: their sum, their integrated gradients, and rows alone or in a file."""

from dataclasses import replace

import numpy as np
import pytest
from small_tables import make_table, with_strange_values

from core.learners import LEARNERS, load_learner, save_learner
from core.learners.kernel_logistic import MIN_BLOCK_ROWS, _thin


@pytest.fixture(scope="module")
def table():
    return make_table()


@pytest.fixture(scope="module")
def learner(table):
    return LEARNERS["kernel_logistic"]({"num_waves": 60}, seed=3).fit(table)


def log_odds_by_loop(learner, scaled):
    """Of one scaled row, in double precision."""
    arrays = {name: values.astype(float) for name, values in learner.arrays_.items()}
    total = learner.intercept_
    for k in range(arrays["directions"].shape[1]):
        angle = sum(arrays["directions"][j, k] * scaled[j] for j in range(len(scaled)))
        total += arrays["amplitudes"][k] * np.cos(angle - arrays["phases"][k])
    return total


def gradient_by_loop(learner, scaled):
    """(P,) of the log-odds at one scaled row."""
    arrays = {name: values.astype(float) for name, values in learner.arrays_.items()}
    gradient = np.zeros(len(scaled))
    for k in range(arrays["directions"].shape[1]):
        angle = arrays["directions"][:, k] @ scaled - arrays["phases"][k]
        gradient -= arrays["amplitudes"][k] * np.sin(angle) * arrays["directions"][:, k]
    return gradient


def scaled_rows(learner, samples):
    return learner.encoding_.transform(samples) * learner.arrays_["scales"]


def test_log_odds_equal_a_plain_loop_over_the_waves(learner, table):
    rows = table.take(np.arange(12))
    by_hand = [log_odds_by_loop(learner, scaled) for scaled in scaled_rows(learner, rows)]
    np.testing.assert_allclose(learner.predict_logits(rows), by_hand, atol=2e-5)


def test_amplitudes_and_phases_equal_the_coefficients_of_cosines_and_sines(learner, table):
    from core.learners.centred_ridge import fit_centred_ridge

    waves = learner._waves(learner.encoding_.transform(table))
    found = fit_centred_ridge(waves, table.targets, table.weights, learner.options.strength, loss_tolerance=1e-9)
    np.testing.assert_allclose(learner.predict_logits(table), found[0] + waves @ found[1:], atol=1e-4)


def test_contributions_equal_the_gradient_integrated_along_the_path(learner, table):
    rows = table.take(np.arange(6))
    typical = learner.arrays_["typical"].astype(float)
    steps = (np.arange(400) + 0.5) / 400  # midpoint rule
    for row, told in zip(scaled_rows(learner, rows), learner.contributions(rows).to_dict("records"), strict=True):
        path = [gradient_by_loop(learner, typical + step * (row - typical)) for step in steps]
        integrated = (row - typical) * np.mean(path, axis=0)
        for name in told:
            owned = [j for j, owner in enumerate(learner.encoding_.owners) if owner == name]
            assert told[name] == pytest.approx(sum(integrated[owned]), abs=1e-4)


def test_typical_row_is_the_weighted_training_mean(table):
    weights = np.random.default_rng(0).uniform(0.5, 3, len(table))
    learner = LEARNERS["kernel_logistic"]({"num_waves": 20}).fit(table.with_weights(weights))
    by_hand = sum(w * row for w, row in zip(weights, scaled_rows(learner, table), strict=True)) / weights.sum()
    np.testing.assert_allclose(learner.arrays_["typical"], by_hand, atol=1e-5)


def test_contributions_sum_to_the_distance_from_the_typical_row(learner, table):
    rows = with_strange_values(table)
    at_typical = log_odds_by_loop(learner, learner.arrays_["typical"].astype(float))
    values = learner.contributions(rows)
    assert set(values.columns) == {"amount", "months", "purpose", "level"}
    np.testing.assert_allclose(values.sum(axis=1), learner.predict_logits(rows) - at_typical, atol=1e-5)
    assert values.abs().to_numpy().max() > 0.1


def test_contributions_of_the_typical_row_itself_are_zero(learner, table, monkeypatch):
    design = np.tile(learner.arrays_["typical"] / learner.arrays_["scales"], (3, 1))
    monkeypatch.setattr(type(learner.encoding_), "transform", lambda *_: design)
    values = learner.contributions(table.take(np.arange(3))).to_numpy()
    assert np.isfinite(values).all()
    np.testing.assert_allclose(values, 0.0, atol=1e-6)


def test_record_alone_gets_to_the_last_bit_what_it_gets_within_a_file(table):
    learner = LEARNERS["kernel_logistic"]({"num_waves": 1000}).fit(table)
    many = table.take(np.random.default_rng(0).integers(0, len(table), 3 * MIN_BLOCK_ROWS))
    logits, values = learner.predict_logits(many), learner.contributions(many).to_numpy()
    for row in (0, 1, 255, 256, 700):
        alone = many.take([row])
        assert learner.predict_logits(alone)[0] == logits[row]
        np.testing.assert_array_equal(learner.contributions(alone).to_numpy()[0], values[row])


def test_no_rows_give_no_scores(learner, table):
    none = table.take(np.array([], dtype=int))
    assert learner.predict_logits(none).shape == (0,)
    assert learner.contributions(none).shape == (0, 4)


def test_contributions_after_reload_are_equal(learner, table, tmp_path):
    save_learner(learner, tmp_path / "learner")
    loaded = load_learner(tmp_path / "learner")
    np.testing.assert_array_equal(loaded.contributions(table), learner.contributions(table))


def test_thinned_rows_keep_the_rate_and_their_order(table):
    labels = np.where(np.arange(len(table)) % 10 == 0, 1.0, 0.0)
    rare = replace(table, labels=labels)
    thin = _thin(rare, 100, np.random.default_rng(0))
    assert len(thin) == 100 and thin.labels.sum() == 10
    numbers = [int(name.split("/")[1]) for name in thin.sample_ids]
    assert numbers == sorted(set(numbers))
    assert _thin(rare, 240, np.random.default_rng(0)) is rare
