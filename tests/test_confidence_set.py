"""The model confidence set against plain loops over the same draws, and its level by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import BadInputError, BadParamsError
from core.forecasting.confidence_set import model_confidence_set, set_block_length

bootstrap = pytest.importorskip("arch.bootstrap", reason="the extra `market` is not installed")


def three_methods(num_rows: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shared = rng.gamma(2, 1, num_rows)
    return {name: shared + rng.normal(mean, 1, num_rows) for name, mean in (("har", 0), ("ewma", 0.05), ("naive", 0.4))}


def p_values_by_loops(losses: dict[str, np.ndarray], draws: list[np.ndarray]) -> dict[str, float]:
    """Hansen, Lunde & Nason's range statistic, written out."""

    def gap(name, other, rows):
        return np.mean([losses[name][row] - losses[other][row] for row in rows])

    num_rows = len(next(iter(losses.values())))
    pairs = [(name, other) for name in losses for other in losses if name != other]
    seen = {pair: gap(*pair, range(num_rows)) for pair in pairs}
    drawn = {pair: np.array([gap(*pair, draw) - seen[pair] for draw in draws]) for pair in pairs}
    error = {pair: np.sqrt(np.mean(drawn[pair] ** 2)) for pair in pairs}
    left, p_values, highest = list(losses), {}, 0.0
    while len(left) > 1:
        among = [pair for pair in pairs if set(pair) <= set(left)]
        worst = max(among, key=lambda pair: seen[pair] / error[pair])
        range_of_draw = np.max([drawn[pair] / error[pair] for pair in among], axis=0)
        highest = max(highest, np.mean(range_of_draw > seen[worst] / error[worst]))
        p_values[worst[0]] = highest
        left.remove(worst[0])
    return p_values | {left[0]: 1.0}


def test_model_confidence_set_equals_plain_loops_over_the_same_draws():
    losses = three_methods(60, 0)
    block_length = set_block_length(60, 2)
    sampler = bootstrap.StationaryBootstrap(block_length, np.arange(60), seed=11)
    draws = [data[0][0] for data in sampler.bootstrap(200)]
    expected = p_values_by_loops(losses, draws)
    told = model_confidence_set(losses, horizon=2, reps=200, seed=11)
    assert told.p_values == pytest.approx(expected)
    assert list(told.p_values) == ["har", "ewma", "naive"]
    assert told.included == tuple(name for name in losses if expected[name] > 0.10)
    assert told.block_length == block_length


def test_model_confidence_set_drops_the_worse_and_repeats_by_seed():
    losses = three_methods(800, 1)
    told = model_confidence_set(losses, horizon=1, seed=3)
    assert "naive" not in told.included and "har" in told.included
    assert model_confidence_set(losses, horizon=1, seed=3) == told
    assert model_confidence_set(losses, horizon=1, seed=4).p_values != told.p_values


def test_model_confidence_set_keeps_the_best_as_often_as_its_size_says():
    kept = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        losses = {name: rng.gamma(2, 1, 200) for name in "ab"}  # both are the best
        kept.append(len(model_confidence_set(losses, horizon=1, size=0.2, reps=200, seed=seed).included) == 2)
    assert 0.7 < np.mean(kept) < 0.9


def test_model_confidence_set_of_equal_losses_tells_them_the_same():
    losses = three_methods(300, 2)
    losses["har_again"] = losses["har"].copy()
    told = model_confidence_set(losses, horizon=1, reps=200, seed=0)
    assert told.p_values["har"] == told.p_values["har_again"]
    del losses["har_again"]
    alone = model_confidence_set(losses, horizon=1, reps=200, seed=0)
    assert {name: told.p_values[name] for name in losses} == alone.p_values


def test_model_confidence_set_of_one_method_or_only_equal_ones_holds_them():
    loss = np.arange(30.0)
    assert model_confidence_set({"a": loss}, horizon=1, seed=0).p_values == {"a": 1.0}
    assert model_confidence_set({"a": loss, "b": loss.copy()}, horizon=1, seed=0).included == ("a", "b")


def test_set_block_length_follows_horizon_and_rows():
    assert [set_block_length(*sizes) for sizes in ((1000, 1), (1000, 22), (30, 22), (5000, 1))] == [10, 44, 30, 18]


def test_model_confidence_set_of_bad_input_names_it():
    losses = three_methods(30, 3)
    with pytest.raises(BadInputError, match="differ by the same number"):
        model_confidence_set({"a": np.arange(30.0), "b": np.arange(30.0) + 1}, horizon=1, seed=0)
    with pytest.raises(BadInputError, match="naive has 29 rows"):
        model_confidence_set(losses | {"naive": np.ones(29)}, horizon=1, seed=0)
    with pytest.raises(BadInputError, match="No losses"):
        model_confidence_set({}, horizon=1, seed=0)
    with pytest.raises(BadParamsError, match="size"):
        model_confidence_set(losses, horizon=1, size=10, seed=0)
