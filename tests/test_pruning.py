"""Pruned channels: the closed form against least squares by hand, what nobody needs leaves without a trace."""

import numpy as np
import pytest
import torch
from timm.models._efficientnet_blocks import EdgeResidual, InvertedResidual, SqueezeExcite
from torch import nn

from core.errors import BadParamsError
from core.pictures.pruning import (
    RIDGE,
    channel_moments,
    choose_channels,
    inner_channels,
    num_parameters,
    pruned_copy,
    recentre,
)


class Network(nn.Module):
    """An inverted residual of 32 inner channels, an edge residual of 16, and one with squeeze-and-excitation."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inverted = InvertedResidual(4, 4, exp_ratio=8.0)
        self.edge = EdgeResidual(4, 6, exp_ratio=4.0)
        self.excited = InvertedResidual(6, 6, exp_ratio=4.0, se_layer=SqueezeExcite)
        self.train()
        for _ in range(20):  # statistics and scales as of trained weights
            self(torch.randint(0, 256, (8, 12, 12, 4), dtype=torch.uint8))
        for norm in (module for module in self.modules() if isinstance(module, nn.BatchNorm2d)):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias)
        self.eval()

    def forward(self, pixels):
        x = pixels.permute(0, 3, 1, 2).float() / 128 - 1
        return self.excited(self.edge(self.inverted(x)))


@pytest.fixture
def network():
    return Network()


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (12, 12, 12, 4), dtype=np.uint8)


def run(module, pixels):
    with torch.inference_mode():
        return module(torch.from_numpy(pixels)).numpy()


def test_blocks_with_squeeze_and_excitation_are_left_out(network):
    found = inner_channels(network)
    assert [block.num for block in found] == [32, 16]
    assert [len(block.makers) for block in found] == [2, 1]


def test_fraction_zero_leaves_all_outputs_equal(network, pixels):
    pruned = pruned_copy(network, channel_moments(network, pixels), 0.0)
    assert pruned is not network and np.array_equal(run(pruned, pixels), run(network, pixels))


@torch.no_grad()
def test_channels_of_zero_weight_leave_first_and_change_nothing(network, pixels):
    idle = [1, 4, 5, 9, 13, 20, 21, 30]
    network.inverted.conv_pwl.weight[:, idle] = 0.0
    network.edge.conv_pwl.weight[:, :8] = 0.0
    before = run(network, pixels)
    pruned = pruned_copy(network, channel_moments(network, pixels), 0.25)
    assert [block.num for block in inner_channels(pruned)] == [24, 16]  # of 16 a quarter less is no step of eight less
    assert np.allclose(run(pruned, pixels), before, atol=1e-5)
    halved = pruned_copy(network, channel_moments(network, pixels), 0.5)
    assert [block.num for block in inner_channels(halved)] == [16, 8]
    assert not np.allclose(run(halved, pixels), before, atol=1e-5)


def test_pruned_network_is_smaller_and_its_original_is_untouched(network, pixels):
    before, weights = run(network, pixels), num_parameters(network)
    pruned = pruned_copy(network, channel_moments(network, pixels), 0.5)
    gone = 16 * (4 + 9 + 4 + 4) + 8 * (4 * 9 + 6 + 2)  # expansion, depthwise, projection, norms; of both blocks
    assert num_parameters(pruned) == weights - gone
    assert np.array_equal(run(network, pixels), before) and run(pruned, pixels).shape == before.shape


def test_moments_equal_those_of_the_projections_inputs(network, pixels):
    seen = []
    hook = network.inverted.conv_pwl.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    moments = channel_moments(network, pixels)[0]
    hook.remove()
    rows = torch.cat(seen).permute(0, 2, 3, 1).reshape(-1, 32).double().numpy()
    assert np.allclose(moments.mean, rows.mean(axis=0), atol=1e-5)
    assert np.allclose(moments.covariance, np.cov(rows.T, bias=True), atol=1e-4)


def test_chosen_weights_equal_least_squares_and_the_least_loss(monkeypatch):
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(400, 6)) @ generator.normal(size=(6, 6))
    rows -= rows.mean(axis=0)
    weights, covariance = generator.normal(size=(3, 6)), rows.T @ rows / len(rows)
    level = RIDGE * np.trace(covariance) / 6
    left = {tuple(np.delete(np.arange(6), gone)) for gone in range(6)}

    def refitted(kept):
        gram = covariance + level * np.eye(6)
        new = weights @ gram[:, kept] @ np.linalg.inv(gram[np.ix_(kept, kept)])
        full = np.zeros_like(weights)
        full[:, kept] = new
        return new, np.trace((full - weights) @ gram @ (full - weights).T)

    kept, new = choose_channels(weights, covariance, 5)
    best = min(left, key=lambda one: refitted(list(one))[1])
    assert tuple(kept) == best
    assert np.allclose(new, refitted(list(kept))[0])
    kept, new = choose_channels(weights, covariance, 3)
    assert len(kept) == 3 and np.allclose(new, refitted(list(kept))[0])


def test_scale_of_an_output_decides_which_channel_matters():
    weights = np.array([[1.0, 0.0], [0.0, 2.0]])
    assert choose_channels(weights, np.eye(2), 1)[0].tolist() == [1]
    assert choose_channels(weights, np.eye(2), 1, scale=np.array([9.0, 1.0]))[0].tolist() == [0]


def test_network_without_such_blocks_and_wrong_fractions_are_refused(network, pixels):
    with pytest.raises(BadParamsError, match="inverted residual"):
        pruned_copy(nn.Conv2d(1, 1, 1), [], 0.1)
    with pytest.raises(BadParamsError, match="below 1"):
        pruned_copy(network, channel_moments(network, pixels), 1.0)


def test_recentred_head_sees_the_same_mean_descriptor():
    from small_defect_model import TINY, blob_samples, fit_learner

    from core.images.image import images_of
    from core.images.onnx_export import ProbeLogits

    learner = fit_learner(options={**TINY, "stages": (3, 4), "head": "logistic", "strength": 1.0, "views": "none"})
    images = images_of(blob_samples(8, seed=5)[0])
    full = ProbeLogits(learner).eval()
    pruned = pruned_copy(full, channel_moments(full, np.stack([image.pixels for image in images])), 0.5)

    def mean_place(logits):
        with torch.inference_mode():
            maps = logits.backbone.maps(logits.backbone.normalise(np.stack([i.pixels for i in images])), (3, 4))
        area = [of_stage.flatten(2) for of_stage in maps]
        columns = [s for a in area for s in (a.mean(2), a.amax(2), a.std(2, correction=0))]
        return torch.cat(columns, dim=1).double().mean(dim=0) - logits.centre

    assert not torch.allclose(mean_place(pruned), mean_place(full), atol=1e-2)
    recentre(pruned, full, images)
    assert torch.allclose(mean_place(pruned), mean_place(full), atol=1e-4)
    assert torch.equal(full.centre, ProbeLogits(learner).centre)
