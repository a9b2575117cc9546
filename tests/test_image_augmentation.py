"""Augmentation on tensors: what it keeps, what it mixes, and that a seed decides all of it."""

import numpy as np
import pytest
import torch

from core.images.views import VIEWS, apply_view, num_views
from core.learners.image_augmentation import jitter, mixup, random_views
from core.learners.image_tuning_options import JitterOptions


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def pixels():
    return torch.randint(0, 256, (12, 6, 6, 1), generator=seeded(9), dtype=torch.uint8)


@pytest.mark.parametrize("views", list(VIEWS))
def test_random_views_draw_only_views_of_the_rule_and_all_of_them(pixels, views):
    many = pixels[:1].repeat(200, 1, 1, 1)
    drawn = random_views(many, views, seeded())
    allowed = {apply_view(pixels[:1], views, index).numpy().tobytes() for index in range(num_views(views))}
    assert {one.numpy().tobytes() for one in drawn} == allowed


def test_jitter_without_strength_changes_nothing(pixels):
    assert torch.equal(jitter(pixels, JitterOptions(brightness=0.0, contrast=0.0), seeded()), pixels)


def test_jitter_is_affine_in_each_picture_within_its_bounds():
    pixels = torch.randint(100, 156, (8, 16, 16, 1), generator=seeded(1), dtype=torch.uint8)
    found = jitter(pixels, JitterOptions(brightness=0.1, contrast=0.3), seeded(2))
    for before, after in zip(pixels.double(), found.double(), strict=True):
        slope, offset = np.polyfit(before.flatten().numpy(), after.flatten().numpy(), 1)
        assert 0.68 <= slope <= 1.32
        assert abs(slope * before.mean() + offset - before.mean()) <= 0.1 * 255 + 1
        assert (after - (slope * before + offset)).abs().max() <= 1.5
    assert not torch.equal(found, pixels)


def test_jitter_erasing_makes_one_flat_rectangle_of_at_most_the_fraction():
    pixels = torch.randint(0, 256, (20, 20, 20, 1), generator=seeded(3), dtype=torch.uint8)
    options = JitterOptions(brightness=0.0, contrast=0.0, erased_probability=1.0, erased_fraction=0.1)
    found = jitter(pixels, options, seeded(4))
    for before, after in zip(pixels, found, strict=True):
        changed = torch.nonzero((before != after)[..., 0])
        sides = changed.max(dim=0).values - changed.min(dim=0).values + 1
        assert sides.prod() <= 0.1 * 400 * 1.5
        assert after[tuple(changed.T)].unique().numel() == 1


def test_mixup_equals_a_plain_loop():
    inputs, targets = torch.randn(6, 2, 3, 3, generator=seeded()), torch.eye(2)[[0, 1, 1, 0, 1, 0]]
    weights = torch.arange(1.0, 7.0)
    mixed, mixed_targets, mixed_weights = mixup(inputs, targets, weights, alpha=0.7, generator=seeded(5))
    again = seeded(5)
    share = np.random.default_rng(int(torch.randint(2**31, (), generator=again))).beta(0.7, 0.7)
    partner = torch.randperm(6, generator=again)
    assert 0.0 < share < 1.0
    for row in range(6):
        other = int(partner[row])
        torch.testing.assert_close(mixed[row], (share * inputs[row] + (1 - share) * inputs[other]).float())
        torch.testing.assert_close(mixed_targets[row], (share * targets[row] + (1 - share) * targets[other]).float())
        assert mixed_weights[row].item() == pytest.approx(share * (row + 1) + (1 - share) * (other + 1), rel=1e-5)


def test_mixup_without_alpha_or_of_one_row_changes_nothing():
    inputs, targets, weights = torch.ones(1, 3), torch.eye(2)[:1], torch.ones(1)
    assert mixup(inputs, targets, weights, alpha=0.0, generator=seeded())[0] is inputs
    assert mixup(inputs, targets, weights, alpha=1.0, generator=seeded())[0] is inputs


def test_augmentation_leaves_its_argument_as_it_was(pixels):
    before = pixels.clone()
    jitter(random_views(pixels, "dihedral", seeded()), JitterOptions(erased_probability=1.0), seeded())
    assert torch.equal(pixels, before)
