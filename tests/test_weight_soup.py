"""Soups: the average is exact, equal models give the model, and greedy never ends worse than its best member."""

import numpy as np
import pytest
import torch
from image_samples import image_samples
from tiny_image_backbone import use_tiny_backbone

from core.learners import LEARNERS, load_learner, save_learner
from core.learners.held_out_loss import mean_log_loss
from core.learners.image_classifier import ImageClassifier
from core.learners.weight_soup import average_tensors, greedy_soup, state_of

FAST = {"epochs": 2, "batch_size": 8, "learning_rate": 0.02, "schedule": "constant", "warm_up_fraction": 0.0}


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path):
    monkeypatch.setenv("CROSSDOMAIN_CACHE", str(tmp_path / "cache"))
    use_tiny_backbone(monkeypatch)


@pytest.fixture(scope="module")
def train():
    return image_samples(32, size=16, seed=1)[0]


@pytest.fixture(scope="module")
def valid():
    return image_samples(24, size=16, seed=2)[0]


def make_soup(**options):
    told = {"strategy": "partial", "views": "none", "training": FAST, "num_members": 3, "start_epochs": 1}
    return LEARNERS["weight_soup"](told | options, seed=0)


def spy_members(monkeypatch):
    """The members in the order of their fits, the common start left out."""
    found = []
    fit = ImageClassifier._fit

    def spy(self, *rest, **told):
        fitted = fit(self, *rest, **told)
        if "member" in told["part"]:
            found.append(fitted)
        return fitted

    monkeypatch.setattr(ImageClassifier, "_fit", spy)
    return found


def test_average_tensors_is_the_mean_by_plain_loops():
    generator = torch.Generator().manual_seed(0)
    states = [{"a": torch.randn(2, 3, generator=generator), "count": torch.tensor(k)} for k in range(3)]
    found = average_tensors(states)
    for row, column in np.ndindex(2, 3):
        expected = sum(float(state["a"][row, column]) for state in states) / 3
        assert float(found["a"][row, column]) == pytest.approx(expected, abs=1e-7)
    assert int(found["count"]) == 0 and found["a"].dtype == torch.float32


@pytest.mark.parametrize("num", [1, 3, 7])
def test_average_tensors_of_equal_states_is_the_state_exactly(num):
    state = {"a": torch.randn(50, generator=torch.Generator().manual_seed(1))}
    assert torch.equal(average_tensors([state] * num)["a"], state["a"])


def test_greedy_soup_follows_the_recipe():
    losses = [0.5, 0.3, 0.4, 0.6]
    table = {(1, 2): 0.25, (1, 2, 0): 0.26, (1, 2, 3): 0.25}
    asked = []

    def loss_of(chosen):
        asked.append(tuple(chosen))
        return table[tuple(chosen)]

    assert greedy_soup(losses, loss_of) == [1, 2, 3]  # 0 makes it worse, 3 leaves it as it is
    assert asked == [(1, 2), (1, 2, 0), (1, 2, 3)]


def test_uniform_soup_of_equal_members_is_the_member(train, valid, monkeypatch):
    members = spy_members(monkeypatch)
    monkeypatch.setattr(
        "core.learners.weight_soup.ImageClassifier",
        lambda options, seed: ImageClassifier(options, seed=0),  # one seed for all
    )
    soup = make_soup(soup="uniform", learning_rate_factors=(1.0,)).fit(train)
    assert len(members) == 3
    np.testing.assert_array_equal(soup.predict_logits(valid), members[0].predict_logits(valid))


def test_uniform_soup_has_the_mean_of_its_members_tensors(train, monkeypatch):
    members = spy_members(monkeypatch)
    soup = make_soup(soup="uniform").fit(train)
    states, found = [state_of(member) for member in members], state_of(soup)
    assert soup.members_ == [0, 1, 2] and soup.losses_ == []
    for name, tensor in found.items():
        if tensor.is_floating_point():
            mean = np.mean([state[name].numpy().astype(float) for state in states], axis=0)
            np.testing.assert_allclose(tensor.numpy(), mean, atol=1e-6)
    name = "head.weight"
    assert not torch.equal(states[0][name], states[1][name])


def test_greedy_soup_is_no_worse_on_the_held_out_rows_than_its_best_member(train, valid, monkeypatch):
    members = spy_members(monkeypatch)
    soup = make_soup().fit(train, valid)
    losses = [mean_log_loss(one.predict_logits(valid), valid.targets, valid.weights) for one in members]
    np.testing.assert_allclose(soup.losses_, losses, atol=1e-6)
    assert mean_log_loss(soup.predict_logits(valid), valid.targets, valid.weights) <= min(losses) + 1e-6
    assert soup.members_[0] == int(np.argmin(losses))


def test_greedy_soup_without_validation_rows_judges_on_rows_that_no_member_saw(train, monkeypatch):
    seen = []
    fit = ImageClassifier._fit
    monkeypatch.setattr(
        ImageClassifier, "_fit", lambda self, rows, *rest, **told: seen.append(rows) or fit(self, rows, *rest, **told)
    )
    soup = make_soup(num_members=2).fit(train)
    assert len(soup.losses_) == 2
    assert all(len(rows) < len(train) for rows in seen)


def test_soup_after_reload_gives_equal_logits_and_continues(train, valid, tmp_path):
    soup = make_soup(num_members=2).fit(train, valid)
    save_learner(soup, tmp_path / "learner")
    loaded = load_learner(tmp_path / "learner")
    np.testing.assert_array_equal(loaded.predict_logits(valid), soup.predict_logits(valid))
    assert (loaded.members_, loaded.losses_) == (soup.members_, soup.losses_)
    assert {path.suffix for path in (tmp_path / "learner").iterdir()} == {".json", ".safetensors"}
    grown = loaded.continue_on(valid)
    assert type(grown) is type(soup) and not np.array_equal(grown.predict_logits(valid), soup.predict_logits(valid))


@pytest.mark.parametrize("strategy", ["linear_probe", "lora", "adapters", "lp_ft", "full"])
def test_soup_of_every_kind_of_strategy_survives_a_reload(strategy, train, valid, tmp_path):
    soup = make_soup(strategy=strategy, num_members=2, soup="uniform", training=FAST | {"epochs": 1}).fit(train)
    save_learner(soup, tmp_path / "learner")
    np.testing.assert_array_equal(load_learner(tmp_path / "learner").predict_logits(valid), soup.predict_logits(valid))
