"""The super learner: its weights against a grid, its guard, and its parts."""

import numpy as np
import pytest
from scipy.special import expit
from small_tables import make_table

from core.errors import BadParamsError
from core.learners import LEARNERS, load_learner, save_learner
from core.learners.additive_stacking import fit_stacking, stacking_loss
from core.learners.blend import Blend
from core.learners.blend_weights import fit_convex_weights, fit_part_map
from core.learners.held_out_loss import mean_log_loss

PARTS = [
    {"learner": "logistic_regression", "options": {"strength": 3.0}},
    {"learner": "random_forest", "options": {"num_trees": 30}},
]


def make_logits(num_rows=400, *, noises=(1.0, 1.0, 3.0), seed=0):
    """Three noisy views of one truth."""
    random = np.random.default_rng(seed)
    truth = random.normal(0, 1.5, num_rows)
    targets = (random.random(num_rows) < expit(truth)).astype(float)
    views = np.column_stack([truth + random.normal(0, noise, num_rows) for noise in noises])
    return views, targets, random.uniform(0.5, 2.0, num_rows)


def loss_by_loop(mix, logits, targets, weights, prior_strength):
    loss = 0.0
    for row, target, weight in zip(logits, targets, weights, strict=True):
        chance = 1 / (1 + np.exp(-sum(v * z for v, z in zip(mix, row, strict=True))))
        loss -= weight * np.log(chance if target else 1 - chance)
    return loss + prior_strength / 2 * sum((v - 1 / len(mix)) ** 2 for v in mix)


@pytest.mark.parametrize("prior_strength", [0.0, 50.0])
def test_convex_weights_equal_the_best_point_of_a_grid(prior_strength):
    logits, targets, weights = make_logits()
    found = fit_convex_weights(logits, targets, weights, prior_strength=prior_strength, use_guard=False)
    grid = [(a / 40, b / 40, 1 - (a + b) / 40) for a in range(41) for b in range(41 - a)]
    best = min(grid, key=lambda mix: loss_by_loop(mix, logits, targets, weights, prior_strength))
    assert found.sum() == pytest.approx(1.0) and np.all(found >= 0)
    np.testing.assert_allclose(found, best, atol=0.03)
    told = loss_by_loop(found, logits, targets, weights, prior_strength)
    assert told <= loss_by_loop(best, logits, targets, weights, prior_strength) + 1e-6


def test_convex_weights_with_a_huge_prior_stay_at_it():
    logits, targets, weights = make_logits()
    prior = np.array([0.2, 0.5, 0.3])
    found = fit_convex_weights(logits, targets, weights, prior=prior, prior_strength=1e8, use_guard=False)
    np.testing.assert_allclose(found, prior, atol=1e-3)


def test_guard_where_one_part_beats_the_blend_gives_it_all_the_weight():
    logits, targets, weights = make_logits(noises=(0.0, 6.0))
    pulled = fit_convex_weights(logits, targets, weights, prior_strength=1e5, use_guard=False)
    assert pulled[0] < 0.7
    guarded = fit_convex_weights(logits, targets, weights, prior_strength=1e5, use_guard=True)
    np.testing.assert_array_equal(guarded, [1.0, 0.0])


def test_guarded_weights_never_lose_to_a_part_out_of_fold():
    for seed in range(10):
        logits, targets, weights = make_logits(60, seed=seed)
        mix = fit_convex_weights(logits, targets, weights, prior_strength=30.0)
        best = min(mean_log_loss(logits[:, k], targets, weights) for k in range(3))
        assert mean_log_loss(logits @ mix, targets, weights) <= best + 1e-12


def test_mean_log_loss_equals_a_plain_loop():
    logits, targets, weights = make_logits(50)
    told = loss_by_loop((1.0,), logits[:, :1], targets, weights, 0.0) / weights.sum()
    assert mean_log_loss(logits[:, 0], targets, weights) == pytest.approx(told)


def test_part_map_recovers_offset_and_slope_and_refuses_a_negative_slope():
    random = np.random.default_rng(0)
    logits = random.normal(0, 1.5, 20_000)
    targets = (random.random(20_000) < expit(-1.0 + 0.5 * logits)).astype(float)
    offset, slope = fit_part_map(logits, targets, np.ones(20_000))
    assert offset == pytest.approx(-1.0, abs=0.06) and slope == pytest.approx(0.5, abs=0.05)
    offset, slope = fit_part_map(-logits, targets, np.ones(20_000))
    assert slope == 0.0
    assert expit(offset) == pytest.approx(targets.mean())


def test_blend_log_odds_equal_the_weighted_sum_of_its_parts():
    table = make_table()
    blend = LEARNERS["blend"]({"parts": PARTS, "num_folds": 3}).fit(table)
    by_hand = np.zeros(len(table))
    for k, part in enumerate(blend.parts_):
        by_hand += blend.mix_[k] * (blend.offsets_[k] + blend.slopes_[k] * part.predict_logits(table))
    np.testing.assert_allclose(blend.predict_logits(table), by_hand)
    assert [row["part"] for row in blend.selection_] == ["logistic_regression", "random_forest", "blend"]
    parts_loss = [row["log_loss"] for row in blend.selection_[:-1]]
    assert blend.selection_[-1]["log_loss"] <= min(parts_loss) + 1e-12


def test_blend_parts_are_refitted_on_all_rows():
    table = make_table()
    blend = LEARNERS["blend"]({"parts": PARTS, "num_folds": 3}).fit(table)
    alone = LEARNERS["logistic_regression"]({"strength": 3.0}).fit(table)
    np.testing.assert_array_equal(blend.parts_[0].predict_logits(table), alone.predict_logits(table))


def test_blend_of_fitted_learners_survives_a_reload(tmp_path):
    table = make_table()
    parts = [LEARNERS[p["learner"]](p["options"]).fit(table) for p in PARTS]
    blend = Blend.of_fitted(parts, np.array([0.3, 0.7]), offsets=np.array([0.1, 0.0]), slopes=np.array([0.9, 1.2]))
    save_learner(blend, tmp_path / "blend")
    loaded = load_learner(tmp_path / "blend")
    assert np.array_equal(loaded.predict_probability(table), blend.predict_probability(table))
    assert loaded.options == blend.options


def test_blend_without_parts_or_with_an_unknown_one_refuses():
    table = make_table()
    with pytest.raises(BadParamsError, match="at least one part"):
        LEARNERS["blend"]({"parts": []}).fit(table)
    with pytest.raises(BadParamsError, match="'boosted_trees'"):
        LEARNERS["blend"]({"parts": [{"learner": "boosted_tree"}]}).fit(table)


def test_additive_weights_equal_the_best_point_of_a_grid():
    logits, targets, weights = make_logits(150, noises=(0.5, 3.0))
    prior = np.array([0.6, 0.1])
    found = fit_stacking(logits, targets, weights, prior=prior, prior_strength=8.0)

    def loss_by_loops(intercept, *mix):
        loss = 4.0 * sum((v - p) ** 2 for v, p in zip(mix, prior, strict=True))
        for row, target, weight in zip(logits, targets, weights, strict=True):
            chance = expit(intercept + sum(v * z for v, z in zip(mix, row, strict=True)))
            loss -= weight * np.log(chance if target else 1 - chance)
        return loss

    told = stacking_loss(found, logits, targets, weights, prior, 8.0)[0]
    assert told == pytest.approx(loss_by_loops(*found))
    steps = (-0.05, 0.0, 0.05)
    near = [found + np.array([a, b, c]) for a in steps for b in steps for c in steps]
    assert all(told <= loss_by_loops(*point) + 1e-6 for point in near if point[1:].min() >= 0)


def test_additive_weights_give_a_misleading_score_none_and_may_exceed_one_in_sum():
    random = np.random.default_rng(0)
    first, second = random.normal(0, 1, (2, 4000))
    targets = (random.random(4000) < expit(first + second)).astype(float)
    found = fit_stacking(np.column_stack([first, second, -first]), targets, np.ones(4000))
    assert found[1] == pytest.approx(1.0, abs=0.15) and found[2] == pytest.approx(1.0, abs=0.15) and found[3] == 0.0


def test_additive_blend_is_intercept_and_weighted_sum_and_survives_a_reload(tmp_path):
    table = make_table()
    options = {"parts": PARTS, "num_folds": 3, "combination": "additive", "prior_weights": [0.9, 0.4]}
    blend = LEARNERS["blend"](options).fit(table)
    by_hand = blend.intercept_ + sum(
        weight * part.predict_logits(table) for weight, part in zip(blend.mix_, blend.parts_, strict=True)
    )
    np.testing.assert_allclose(blend.predict_logits(table), by_hand)
    assert blend.intercept_ != 0.0
    save_learner(blend, tmp_path / "blend")
    loaded = load_learner(tmp_path / "blend")
    assert np.array_equal(loaded.predict_probability(table), blend.predict_probability(table))


def test_blend_of_told_weights_uses_them_as_they_are():
    told = {"parts": PARTS, "prior_weights": [0.3, 0.7], "use_equal_weights": True, "use_part_maps": False}
    blend = LEARNERS["blend"](told).fit(make_table())
    np.testing.assert_array_equal(blend.mix_, [0.3, 0.7])
    assert blend.selection_ == []  # nothing was held out


@pytest.mark.parametrize("weights", [[1.0], [0.5, 0.6], [-0.5, 1.5]])
def test_blend_with_bad_prior_weights_refuses(weights):
    with pytest.raises(BadParamsError, match="one weight of at least 0"):
        LEARNERS["blend"]({"parts": PARTS, "prior_weights": weights}).fit(make_table())
