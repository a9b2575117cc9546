"""FGSM and PGD: the closed form of a linear model, the bounds, and the whole path of a small probe."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_defect_model import blob_samples, make_defect_model
from torch import nn

from core.errors import BadParamsError
from core.pictures.adversarial import EPSILONS_GREY, _keep_slopes_finite, adversarial_table, fgsm, pgd

SIZE = 6


class Linear(nn.Module):
    """Log-odds b + sum w x."""

    def __init__(self, seed=0):
        super().__init__()
        generator = np.random.default_rng(seed)
        self.weight = torch.from_numpy(generator.normal(scale=0.01, size=(SIZE, SIZE, 1)))

    def forward(self, pixels):
        return (pixels.double() * self.weight).sum(dim=(1, 2, 3)) + 0.1


@pytest.fixture
def pictures():
    generator = np.random.default_rng(1)
    pixels = torch.from_numpy(generator.uniform(20, 235, size=(10, SIZE, SIZE, 1)))
    return pixels, torch.from_numpy((np.arange(10) % 2).astype(float))


@pytest.mark.parametrize("eps", [0.5, 4.0])
@pytest.mark.parametrize("attack", [fgsm, pgd])
def test_attack_on_a_linear_model_moves_the_loss_as_the_closed_form_says(attack, eps, pictures):
    # For z = w x + b the worst picture of the cube is x - s eps sign(w), and z moves by s eps |w|_1, s = +1 or -1.
    pixels, targets = pictures
    model = Linear()
    changed = attack(model, pixels, targets, eps, 0)
    norm = float(model.weight.abs().sum())
    for row in range(len(pixels)):
        sign = 1.0 if targets[row] == 1 else -1.0
        before, after = float(model(pixels)[row]), float(model(changed)[row])
        assert after == pytest.approx(before - sign * eps * norm, rel=1e-6)
        expected_loss = np.log1p(np.exp(-sign * before + eps * norm))
        assert np.log1p(np.exp(-sign * after)) == pytest.approx(expected_loss, rel=1e-6)


@pytest.mark.parametrize("attack", [fgsm, pgd])
def test_attack_stays_in_the_cube_and_in_the_range_of_bytes(attack):
    pixels = torch.from_numpy(np.random.default_rng(2).choice([0.0, 1.0, 254.0, 255.0], size=(6, SIZE, SIZE, 1)))
    changed = attack(Linear(3), pixels, torch.zeros(6), 4.0, 1)
    assert (changed - pixels).abs().max() <= 4.0 + 1e-6
    assert changed.min() >= 0.0 and changed.max() <= 255.0
    assert (changed != pixels).any()


class Bump(nn.Module):
    """Log-odds that are highest at 100 of each pixel: the slope at the picture itself points the wrong way after it."""

    def forward(self, pixels):
        return -((pixels.double() - 100.0) ** 2).mean(dim=(1, 2, 3)) + 5 * torch.sin(pixels.double()).mean(
            dim=(1, 2, 3)
        )


def test_pgd_finds_more_than_fgsm_where_the_model_is_curved():
    pixels = torch.full((4, SIZE, SIZE, 1), 100.0, dtype=torch.float64) + 0.3
    targets = torch.ones(4)
    after = {attack: Bump()(attack(Bump(), pixels, targets, 4.0, 0)).mean() for attack in (fgsm, pgd)}
    assert after[pgd] < after[fgsm] - 0.1


def test_pgd_with_the_same_seed_is_the_same(pictures):
    pixels, targets = pictures
    one, two = (pgd(Bump(), pixels, targets, 2.0, 7, num_steps=1) for _ in range(2))
    assert torch.equal(one, two) and not torch.equal(one, pgd(Bump(), pixels, targets, 2.0, 8, num_steps=1))


@pytest.fixture(scope="module")
def model():
    return make_defect_model(has_kinds=False)


def test_table_of_a_probe_worsens_with_eps_and_starts_at_the_models_own_scores(model):
    samples = blob_samples(60, seed=9)[0]
    table = adversarial_table(model, samples, 24)
    assert table["attack"].tolist() == ["none"] + ["fgsm"] * 4 + ["pgd"] * 4
    assert table["eps_grey"].tolist() == [0.0, *EPSILONS_GREY, *EPSILONS_GREY]
    assert (table["rows"] == 24).all() and table.loc[0, ["flips", "mean_change"]].tolist() == [0.0, 0.0]
    strongest = table[table["attack"] == "pgd"].set_index("eps_grey")
    assert (np.diff(strongest["mean_change"]) > 0).all() and strongest.loc[0.5, "mean_change"] > 0
    assert strongest.loc[4.0, "auc"] < table.loc[0, "auc"]
    fgsm_lines = table[table["attack"] == "fgsm"].set_index("eps_grey")
    assert strongest.loc[4.0, "mean_change"] >= fgsm_lines.loc[4.0, "mean_change"] - 0.02


class OneDeadChannel(nn.Module):
    """Signed roots of two descriptors, of which one is 0 for every picture."""

    def _describe(self, pixels):
        return torch.stack([pixels.mean(dim=(1, 2, 3)), (0.0 * pixels).mean(dim=(1, 2, 3))], dim=1)

    def forward(self, pixels):
        described = self._describe(pixels)
        return (described.sign() * described.abs().sqrt()).sum(dim=1)


def test_slopes_of_a_dead_channel_do_not_spoil_the_rest(pictures):
    pixels, targets = pictures
    with pytest.raises(BadParamsError, match="finite"):
        fgsm(OneDeadChannel(), pixels, targets, 1.0)
    logits = OneDeadChannel()
    _keep_slopes_finite(logits)
    changed = fgsm(logits, pixels, targets, 1.0)
    expected = pixels + torch.where(targets > 0.5, -1.0, 1.0)[:, None, None, None]  # the root rises with every pixel
    torch.testing.assert_close(changed, expected)


def test_table_of_a_learner_without_a_graph_is_refused(model):
    from dataclasses import replace

    with pytest.raises(BadParamsError, match="no graph"):
        adversarial_table(replace(model, positive_class="good"), blob_samples(20, seed=9)[0], 4)
