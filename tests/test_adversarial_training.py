"""The one-step attack against the closed form of a linear model, and what a classifier trained on it has seen."""

import numpy as np
import pytest
import torch
from image_samples import image_samples
from tiny_image_backbone import TinyImageBackbone, use_tiny_backbone
from torch.nn.functional import softplus

from core.images.image import images_of, stack_pixels
from core.learners import LEARNERS
from core.learners import image_tuning as module
from core.learners.adversarial_step import PictureScale, fast_perturbed

FAST = {"epochs": 2, "batch_size": 8, "learning_rate": 0.01, "schedule": "constant", "warm_up_fraction": 0.0}


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path):
    monkeypatch.setenv("CROSSDOMAIN_CACHE", str(tmp_path / "cache"))
    use_tiny_backbone(monkeypatch)


@pytest.mark.parametrize("epsilon", [0.01, 0.1])
def test_fast_perturbed_of_a_linear_model_is_the_closed_form(epsilon):
    """The slope's sign is -y sign(w) everywhere; what the random start leaves of a step of 1.25 e is known."""
    generator = torch.Generator().manual_seed(0)
    pictures = 0.3 + 0.4 * torch.rand(6, 1, 4, 4, generator=generator)
    weights = torch.randn(1, 4, 4, generator=generator)
    signs = torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0, -1.0])

    def loss_of(x):
        return softplus(-signs * (x * weights).sum(dim=(1, 2, 3))).sum()

    changed = fast_perturbed(loss_of, pictures, epsilon, torch.Generator().manual_seed(7))
    first = epsilon * (2 * torch.rand(pictures.shape, generator=torch.Generator().manual_seed(7)) - 1)
    for index in np.ndindex(tuple(pictures.shape)):
        direction = -float(signs[index[0]]) * np.sign(float(weights[index[1:]]))
        change = np.clip(float(first[index]) + 1.25 * epsilon * direction, -epsilon, epsilon)
        assert float(changed[index]) == pytest.approx(float(pictures[index]) + change, abs=1e-6)
    moved = (changed - pictures).numpy()
    assert np.abs(moved).max() <= epsilon + 1e-6
    margins = signs * (pictures * weights).sum(dim=(1, 2, 3))
    worst = margins - epsilon * weights.abs().sum()  # Madry's inner maximum in closed form
    reached = signs * (changed * weights).sum(dim=(1, 2, 3))
    assert (reached < margins).all() and (reached >= worst - 1e-4).all()
    assert float(loss_of(changed)) > float(loss_of(pictures))
    assert (margins - reached).mean() > 0.8 * (margins - worst).mean()


def test_fast_perturbed_stays_a_picture():
    pictures = torch.tensor([[0.0, 1.0, 0.5]])
    changed = fast_perturbed(lambda x: -x.sum(), pictures, 0.3, torch.Generator().manual_seed(0))
    assert changed.min() >= 0 and changed.max() <= 1 and not changed.requires_grad


@pytest.mark.parametrize("channels", [1, 3])
def test_picture_scale_goes_there_and_back(channels):
    backbone = TinyImageBackbone()
    pixels = stack_pixels(images_of(image_samples(3, size=8, channels=channels)[0]))
    inputs = backbone.normalise(pixels)
    scale = PictureScale(backbone.normalise, is_grey=channels == 1)
    grey = scale.to_grey(inputs)
    np.testing.assert_allclose(grey.numpy(), pixels.transpose(0, 3, 1, 2) / 255, atol=1e-6)
    np.testing.assert_allclose(scale.to_inputs(grey).numpy(), inputs.numpy(), atol=1e-5)


def spy_batches(monkeypatch):
    """(before, after) of every attacked batch in grey values."""
    seen = []

    def spy(loss_of, grey, epsilon, generator):
        changed = fast_perturbed(loss_of, grey, epsilon, generator)
        with torch.no_grad():
            seen.append((grey, changed, float(loss_of(grey)), float(loss_of(changed))))
        return changed

    monkeypatch.setattr(module, "fast_perturbed", spy)
    return seen


@pytest.mark.parametrize("strategy", ["linear_probe", "partial", "full"])
def test_classifier_learns_from_changed_batches_within_epsilon(strategy, monkeypatch):
    seen = spy_batches(monkeypatch)
    train = image_samples(24, size=16, seed=1)[0]
    told = {"strategy": strategy, "training": FAST, "dropout": 0.0, "keep_statistics": True}
    LEARNERS["image_classifier"](told | {"recipe": {"adversarial_epsilon": 0.02}}, seed=0).fit(train)
    assert len(seen) == 2 * 3
    for grey, changed, _, _ in seen:
        assert grey.shape[1] == 1 and 0.01 < float((changed - grey).abs().max()) <= 0.02 + 1e-6
    assert np.mean([after > before for _, _, before, after in seen]) > 0.8


def test_classifier_without_epsilon_never_attacks(monkeypatch):
    seen = spy_batches(monkeypatch)
    LEARNERS["image_classifier"]({"training": FAST}, seed=0).fit(image_samples(16, size=16)[0])
    assert seen == []
