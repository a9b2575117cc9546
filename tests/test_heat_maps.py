"""Heat maps of every way: the formulas, and that they peak where the defect was planted."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from image_samples import image_samples
from one_class_cases import fitted, pictures, share_of_peaks_inside
from torch import nn

from core.errors import BadParamsError
from core.explain.class_activation import class_activation, combine
from core.explain.heat_maps import CAM_METHODS, enlarge, heat_maps, overlay
from core.explain.picture_occlusion import occlusion_maps
from core.images.image import images_of, stack_pixels


class DeviationBackbone(nn.Module):
    """Two stages: distance from mid grey, then local means of its excess; the pooled feature tells defects."""

    feature_dim = 2

    def stages(self):
        return [nn.Identity(), nn.Identity()]

    def normalise(self, pixels):
        return torch.as_tensor(pixels).permute(0, 3, 1, 2).float() / 255 - 0.5

    def run(self, x, start=0, stop=None):
        for place in range(start, 2 if stop is None else stop):
            if place == 0:
                excess = torch.relu(x.abs() - 0.25)
                x = torch.cat([excess, 0.5 - excess], dim=1)
            else:
                x = nn.functional.avg_pool2d(x, 2)
        return x

    def pool(self, maps):
        return maps.mean(dim=(2, 3))


class DeviationModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone, self.head = DeviationBackbone(), nn.Linear(2, 2)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[0.0, 0.0], [400.0, -1.0]]))
            self.head.bias.copy_(torch.tensor([0.0, -1.0]))

    def forward(self, x):
        return self.head(self.backbone.pool(self.backbone.run(x)))


class DeviationLearner:
    """Scores pictures by the model, as a learner does."""

    def __init__(self, *, has_model=True):
        self.model = DeviationModel().eval()
        if has_model:
            self.model_ = self.model

    def predict_probability(self, samples):
        with torch.no_grad():
            inputs = self.model.backbone.normalise(stack_pixels(images_of(samples)))
            return torch.softmax(self.model(inputs).double(), dim=1).numpy()


@pytest.fixture(scope="module")
def defects():
    samples, masks = image_samples(12, size=48, seed=4, positive_fraction=1.0, noise=0.02)
    return samples, masks


def random_maps():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, 4, 5, generator=generator), torch.randn(2, 3, 4, 5, generator=generator)


def plain_weights(method, a, g):
    """(C,) or (C, h, w) weights of one picture by loops."""
    if method == "layer_cam":
        return np.maximum(g, 0)
    if method == "grad_cam":
        return np.array([channel.mean() for channel in g])[:, None, None]
    weights = []
    for maps, gradient in zip(a, g, strict=True):
        total = 0.0
        for row in range(maps.shape[0]):
            for column in range(maps.shape[1]):
                slope = gradient[row, column]
                alpha = slope**2 / (2 * slope**2 + maps.sum() * slope**3)
                total += alpha * max(slope, 0.0)
        weights.append(total / maps.size)
    return np.array(weights)[:, None, None]


@pytest.mark.parametrize("method", CAM_METHODS)
def test_combine_equals_plain_loops(method):
    maps, gradients = random_maps()
    found = combine(maps.double(), gradients.double(), method).numpy()
    for picture in range(2):
        a, g = maps[picture].double().numpy(), gradients[picture].double().numpy()
        expected = np.maximum((plain_weights(method, a, g) * a).sum(axis=0), 0)
        np.testing.assert_allclose(found[picture], expected, rtol=1e-6, atol=1e-12)


def test_grad_cam_of_a_linear_head_is_the_logit_of_each_cell():
    model = DeviationModel()
    inputs = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)) - 0.5
    inputs = inputs[:, :1]
    maps = model.backbone.run(inputs)
    slope = model.head.weight[1] - model.head.weight[0]
    expected = torch.relu((slope[:, None, None] * maps).sum(dim=1)).detach()
    torch.testing.assert_close(class_activation(model, inputs, stage=2), expected)


@pytest.mark.parametrize("method", [*CAM_METHODS, "occlusion"])
def test_heat_map_of_a_classifier_peaks_in_the_planted_defect(method, defects):
    samples, masks = defects
    maps = heat_maps(DeviationLearner(), samples, method)
    assert maps.shape == masks.shape and maps.dtype == np.float32
    assert maps.min() >= 0 and maps.max() <= 1
    assert share_of_peaks_inside(maps, samples, masks) > 0.9


@pytest.mark.parametrize("name", ["memory_bank", "gaussian_features", "student_teacher", "golden_template"])
def test_heat_map_of_a_one_class_learner_peaks_in_the_planted_defect(name):
    _, test, masks = pictures()
    maps = heat_maps(fitted(name), test)
    assert maps.shape == masks.shape and maps.min() >= 0 and maps.max() <= 1
    assert share_of_peaks_inside(maps, test, masks) > 0.6


def test_heat_map_of_a_one_class_learner_is_a_half_at_its_level():
    _, test, _ = pictures()
    learner = SimpleNamespace(is_one_class=True, level_=3.0, heat_maps=lambda s: np.full((len(s), 2, 2), 3.0))
    np.testing.assert_allclose(heat_maps(learner, test), 0.5)


def test_heat_maps_without_a_model_fall_back_to_occlusion(defects):
    samples, masks = defects
    learner = DeviationLearner(has_model=False)
    found = heat_maps(learner, samples.take([0, 1]))
    assert np.array_equal(found, heat_maps(learner, samples.take([0, 1]), "occlusion"))
    with pytest.raises(BadParamsError, match="grad_cam"):
        heat_maps(learner, samples, "grad_cam")
    assert masks.any()


def test_occlusion_maps_with_one_cell_windows_are_the_fall_of_the_log_odds(defects):
    samples, _ = defects
    learner = DeviationLearner()
    found = occlusion_maps(learner, samples.take([0]), num_cells=4, window_cells=1)
    assert found.shape == (1, 4, 4)
    assert found.max() > 1.0
    with pytest.raises(BadParamsError, match="window"):
        occlusion_maps(learner, samples, num_cells=4, window_cells=4)


def test_enlarge_of_a_constant_map_is_constant_and_keeps_the_peak_in_its_cell():
    assert np.allclose(enlarge(np.full((1, 3, 3), 2.0), 12), 2.0)
    one = np.zeros((1, 4, 4))
    one[0, 1, 2] = 1
    row, column = np.unravel_index(np.argmax(enlarge(one, 16)[0]), (16, 16))
    assert row // 4 == 1 and column // 4 == 2


def test_overlay_leaves_cool_pixels_and_draws_the_level():
    pixels = np.full((32, 32, 1), 100, dtype=np.uint8)
    heat = np.zeros((32, 32))
    heat[8:16, 8:16] = 0.9
    found = overlay(pixels, heat)
    assert found.shape == (32, 32, 3) and found.dtype == np.uint8
    assert np.all(found[0, 0] == 100)
    assert tuple(found[8, 8]) == (0, 255, 255) and tuple(found[10, 10]) != (0, 255, 255)
