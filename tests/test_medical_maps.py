"""MONAI's maps against closed forms, and the sanity check that a map must not survive random weights."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from image_samples import image_samples
from scipy.ndimage import sobel
from scipy.stats import spearmanr
from small_defect_model import SIZE_PX, TINY, blob_samples, make_defect_model

from core.errors import BadParamsError
from core.explain.class_activation import class_activation
from core.explain.descriptor_cam import descriptor_activation
from core.explain.heat_maps import enlarge
from core.images.image import Image, images_of, stack_pixels
from core.learners import LEARNERS

pytest.importorskip("monai")

from verticals.chest_xray.medical.maps import _occlusion, medical_maps, methods_of, scaled
from verticals.chest_xray.medical.randomised import randomised, redraw
from verticals.chest_xray.medical.sanity import judge, rank_correlation, write_sanity

LARGE_PX = 96  # three cells a side after the last stage
CLASSIFIER = {
    "training": {"epochs": 6, "batch_size": 8, "learning_rate": 3e-3},
    "strategy": "scratch",
    "backbone": "test_efficientnet",
}


@pytest.fixture(scope="module")
def pictures():
    return blob_samples(12, seed=3)[0]


@pytest.fixture(scope="module")
def probe():
    return make_defect_model("image_probe", {**TINY, "head": "rbf", "strength": 0.1}, has_kinds=False)


@pytest.fixture(scope="module")
def base():
    return make_defect_model(has_kinds=False)


@pytest.fixture(scope="module")
def classifier(base):
    learner = LEARNERS["image_classifier"]({**CLASSIFIER, "test_views": "none"}, seed=0)
    return replace(base, learner=learner.fit(image_samples(20, size=LARGE_PX, seed=1)[0]))


@pytest.fixture(scope="module")
def large():
    return image_samples(12, size=LARGE_PX, seed=3)[0]


@pytest.mark.parametrize("method", ["grad_cam", "grad_cam_plus_plus"])
def test_map_of_a_classifier_is_the_closed_form(method, classifier, large):
    network = classifier.learner.model_.eval()
    inputs = network.backbone.normalise(stack_pixels(images_of(large)))
    stage = network.backbone.num_stages
    expected = scaled(enlarge(class_activation(network, inputs, stage=stage, method=method).numpy(), LARGE_PX))
    found = medical_maps(classifier, large, method)
    assert found.shape == (12, LARGE_PX, LARGE_PX) and found.max() == pytest.approx(1.0) and found.std() > 0.1
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_grad_cam_of_a_probe_of_means_is_the_slope_times_the_maps(base, pictures):
    options = {**TINY, "stages": (2,), "statistics": ("mean",), "views": "none", "head": "logistic", "strength": 1.0}
    model = make_defect_model("image_probe", options, has_kinds=False)
    learner = model.learner
    slopes = learner.descriptor_slopes(pictures)
    with torch.no_grad():
        inputs = learner.backbone_.normalise(stack_pixels(images_of(pictures)))
        (maps,) = learner.backbone_.maps(inputs, (2,))
    expected = np.zeros((len(pictures), *maps.shape[-2:]))
    for row in range(len(pictures)):
        for channel in range(maps.shape[1]):
            expected[row] += slopes[row, channel] * maps[row, channel].numpy()
    expected = scaled(enlarge(np.maximum(expected, 0), SIZE_PX))
    np.testing.assert_allclose(medical_maps(model, pictures, "grad_cam"), expected, atol=1e-4)


@pytest.mark.parametrize("method", ["grad_cam", "grad_cam_plus_plus"])
def test_map_of_a_mirrored_picture_is_the_mirrored_map(method, probe, pictures):
    """The probe's views are flips, so that a picture and its mirror image are the same to it."""
    one = pictures.take([0, 1])
    mirrored = one.inputs.copy()
    mirrored["image"] = [Image.of_pixels(image.pixels[:, ::-1].copy()) for image in images_of(one)]
    found = medical_maps(probe, one.with_inputs(mirrored, one.schema), method)
    np.testing.assert_allclose(found, medical_maps(probe, one, method)[:, :, ::-1], atol=1e-4)
    assert found.std() > 0.01


def test_signed_root_of_silent_channels_gives_finite_maps(pictures):
    options = {**TINY, "head": "logistic", "strength": 1.0, "use_signed_root": True, "statistics": ("mean", "std")}
    model = make_defect_model("image_probe", options, has_kinds=False)
    for method in ("grad_cam", "grad_cam_plus_plus", "descriptor_cam"):
        assert np.isfinite(medical_maps(model, pictures, method)).all()


def test_occlusion_of_a_score_of_one_pixel_marks_the_squares_that_cover_it():
    pixels = np.full((1, SIZE_PX, SIZE_PX, 1), 100, dtype=np.uint8)
    pixels[0, 20, 9] = 250
    fall = _occlusion(_PixelLogits(20, 9), pixels, "occlusion")
    assert fall.shape == (SIZE_PX, SIZE_PX)
    assert fall[20, 9] == pytest.approx(150, abs=1)  # every square that covers it puts the mean, 100, in its place
    assert fall[:8].max() == 0 and fall[:, 20:].max() == 0 and fall[28:].max() == 0


class _PixelLogits(torch.nn.Module):
    def __init__(self, row, column):
        super().__init__()
        self.place = row, column

    def forward(self, pixels):
        return pixels[:, self.place[0], self.place[1], 0].double()


def test_descriptor_cam_is_the_projects_own_map_scaled(probe, pictures):
    expected = scaled(descriptor_activation(probe.learner, pictures))
    np.testing.assert_allclose(medical_maps(probe, pictures, "descriptor_cam"), expected, atol=1e-6)


def test_methods_of_each_learner_and_a_wrong_one_is_refused(probe, classifier, pictures):
    assert methods_of(probe.learner) == ("descriptor_cam", "grad_cam", "grad_cam_plus_plus", "occlusion")
    assert methods_of(classifier.learner) == ("grad_cam", "grad_cam_plus_plus", "occlusion")
    assert methods_of(SimpleNamespace()) == ()
    with pytest.raises(BadParamsError, match="grad_cam"):
        medical_maps(classifier, pictures, "descriptor_cam")


@pytest.mark.parametrize("kind", ["probe", "classifier"])
def test_randomised_copy_changes_what_it_should_and_the_learner_stays(kind, request, pictures, large):
    pictures = pictures if kind == "probe" else large
    learner = request.getfixturevalue(kind).learner
    before = learner.predict_logits(pictures)
    head, everything = (randomised(learner, pictures, part, seed=1) for part in ("head", "all"))
    np.testing.assert_array_equal(learner.predict_logits(pictures), before)
    backbones = [one.model_.backbone if kind == "classifier" else one.backbone_ for one in (learner, head, everything)]
    first, second, third = ([p.detach().clone() for p in one.parameters()] for one in backbones)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    moved = [not torch.equal(a, b) for a, b in zip(first, third, strict=True) if a.numel() > 1 and a.std() > 0]
    assert moved and all(moved)
    for changed in (head, everything):
        assert np.abs(changed.predict_logits(pictures) - before).max() > 0.1


def test_rank_correlation_is_spearmans_with_ties_and_zero_of_a_constant():
    generator = np.random.default_rng(0)
    one, other = generator.integers(0, 5, (2, 12, 12)).astype(float)
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one.ravel(), other.ravel()).statistic)
    assert rank_correlation(one, 3 * one + 1) == pytest.approx(1.0)
    assert rank_correlation(one, np.ones((12, 12))) == 0.0


@pytest.mark.parametrize(
    "head, network, flat, passes, words",
    [
        (0.1, 0.2, 0.0, True, "change"),
        (0.6, 0.2, 0.0, False, "random head"),
        (0.1, 0.51, 0.0, False, "random network"),
        (0.0, 0.0, 0.75, False, "empty"),
        (np.nan, 0.0, 0.0, False, "empty maps only"),
    ],
)
def test_judge_by_the_rule(head, network, flat, passes, words):
    is_flat = np.arange(4) < 4 * flat
    table = pd.concat(
        pd.DataFrame({"part": part, "spearman": value, "is_flat": is_flat, "is_random_flat": np.isnan(value)})
        for part, value in (("head", head), ("all", network))
    )
    found = judge(table)
    assert found["passes"] == passes and words in found["reason"]


def test_sanity_fails_an_edge_detector_and_passes_the_probes_own_map(probe, pictures, tmp_path):
    def maps(model, samples, method):
        if method != "edges":
            return medical_maps(model, samples, method)
        return np.stack([np.abs(sobel(image.pixels[:, :, 0].astype(float))) for image in images_of(samples)])

    found = write_sanity(probe, pictures, tmp_path, methods=["edges", "descriptor_cam"], num_pictures=4, maps=maps)
    assert not found["methods"]["edges"]["passes"]
    assert found["methods"]["edges"]["spearman_random_network"] == pytest.approx(1.0)
    assert found["methods"]["descriptor_cam"]["passes"], found
    assert found["preferred"] == "descriptor_cam" and found["pictures"] == 4
    table = pd.read_csv(tmp_path / "sanity.csv")
    assert len(table) == 2 * 2 * 4 * 4  # methods, parts, draws, pictures
    assert (tmp_path / "sanity.png").stat().st_size > 5000


def test_sanity_of_a_classifier_checks_all_its_methods(classifier, large, tmp_path):
    found = write_sanity(classifier, large, tmp_path, num_pictures=2, num_draws=1)
    assert set(found["methods"]) == {"grad_cam", "grad_cam_plus_plus", "occlusion"}
    assert all(np.isfinite(one["spearman_random_network"]) for one in found["methods"].values())


def test_sanity_of_a_learner_without_maps_is_refused(base, pictures, tmp_path):
    grouped = LEARNERS["image_probe"]({**TINY, "normalise": "group", "head": "logistic", "strength": 1.0}, seed=0)
    model = replace(base, learner=grouped.fit(blob_samples(20)[0]))
    with pytest.raises(BadParamsError, match="normalise"):
        write_sanity(model, pictures, tmp_path)


def test_mirrored_draw_is_the_draw_reflected_at_the_mean():
    layers = [torch.nn.Linear(5, 3) for _ in range(3)]
    for layer in layers[1:]:
        layer.load_state_dict(layers[0].state_dict())
    redraw(layers[1], seed=4)
    redraw(layers[2], seed=4, sign=-1)
    old, one, other = (layer.weight.detach() for layer in layers)
    np.testing.assert_allclose((one + other) / 2, old.mean().expand_as(old), atol=1e-6)
    assert (one - old).abs().max() > 0.1


def test_scaled_map_is_not_ruled_by_one_cell_and_zeros_stay():
    maps = np.zeros((3, 20, 20))
    maps[0], maps[0, 0, 0] = np.linspace(0, 2, 400).reshape(20, 20), 1000.0
    maps[1, 3, 4] = 5.0
    found = scaled(maps)
    assert found[0, 10, 10] == pytest.approx(maps[0, 10, 10] / np.quantile(maps[0], 0.99), abs=1e-6)
    assert found[0].max() == found[1].max() == found[1, 3, 4] == 1.0
    assert (found[2] == 0).all() and found[1].sum() == 1.0
