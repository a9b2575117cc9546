"""MONAI's networks as image backbones: stages are the network, checkpoints of three kinds, and what is refused."""

import hashlib
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small_defect_model import blob_samples

from core.backbones import monai_networks
from core.backbones.image import ImageBackbone
from core.errors import BadParamsError, MissingArtifactError, VerificationError
from core.learners import LEARNERS, load_learner, save_learner
from core.strategies import STRATEGIES

nets = pytest.importorskip("monai.networks.nets")
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 1), dtype=np.uint8)


def tiny_densenet(*, in_channels=3):
    return nets.DenseNet(2, in_channels, 2, init_features=8, growth_rate=4, block_config=(1, 2, 1))


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(monai_networks.NETWORKS, "tiny", tiny_densenet)


def write_checkpoint(path, tensors):
    """The file as a user has it, and its digest."""
    if path.suffix == ".safetensors":
        save_file({name: value.contiguous() for name, value in tensors.items()}, path)
    else:
        torch.save({"model": tensors}, path)  # as MONAI's CheckpointSaver
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fitted_network(*, in_channels=3):
    """With batch statistics that are not the first ones."""
    torch.manual_seed(5)
    network = tiny_densenet(in_channels=in_channels)
    network.train()(torch.rand(8, in_channels, 64, 64))
    return network.eval()


@torch.no_grad()
def monai_features(network, pixels, *, in_channels=3):
    """By MONAI's own forward up to its last layer, of pixels scaled to 0..1."""
    planes = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().expand(-1, in_channels, -1, -1) / 255
    layers = network.class_layers
    return layers.flatten(layers.pool(layers.relu(network.features(planes)))).numpy()


@pytest.mark.parametrize(
    "name, num_stages, dim", [("monai:densenet121", 5, 1024), ("monai:efficientnet_b0", 9, 1280), ("monai:tiny", 4, 11)]
)
def test_backbone_keeps_the_contract(name, num_stages, dim):
    """The load itself proves that the stages one after the other are MONAI's forward."""
    backbone = ImageBackbone.load(name)
    assert (backbone.num_stages, backbone.feature_dim, backbone.weights_id) == (num_stages, dim, "random-0")
    inputs = backbone.normalise(PIXELS)
    with torch.no_grad():
        maps = backbone.maps(inputs, range(1, num_stages + 1))
        whole = backbone(inputs)
    sides = [one.shape[-1] for one in maps]
    assert sides == sorted(sides, reverse=True) and all(one.ndim == 4 for one in maps)
    assert whole.shape == (3, dim) and torch.allclose(whole, backbone.pool(maps[-1]), atol=1e-5)
    parameters = [id(p) for stage in backbone.stages() for p in stage.parameters()]
    assert len(parameters) == len(set(parameters)) == len(list(backbone.parameters()))


def test_seed_decides_the_weights_and_reset_gives_them_again():
    first, second = (ImageBackbone.load("monai:tiny", scratch_seed=seed) for seed in (1, 2))
    assert not np.allclose(first.features(PIXELS), second.features(PIXELS))
    second.reset(1)
    np.testing.assert_array_equal(first.features(PIXELS), second.features(PIXELS))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
@pytest.mark.parametrize("in_channels", [1, 3])
def test_checkpoint_of_monai_gives_monais_features(suffix, in_channels, tmp_path):
    network = fitted_network(in_channels=in_channels)
    path = tmp_path / f"mine{suffix}"
    digest = write_checkpoint(path, network.state_dict())
    backbone = ImageBackbone.load(f"monai:tiny@{path}", sha256=digest)
    expected = monai_features(network, PIXELS, in_channels=in_channels)
    np.testing.assert_allclose(backbone.features(PIXELS), expected, atol=1e-4)
    assert backbone.weights_id == digest
    as_model = ImageBackbone.load(str(path), sha256=digest, model="monai:tiny")
    np.testing.assert_array_equal(as_model.features(PIXELS), backbone.features(PIXELS))


def test_checkpoint_with_another_digest_or_without_one_is_refused(tmp_path):
    path = tmp_path / "mine.pt"
    write_checkpoint(path, fitted_network().state_dict())
    with pytest.raises(VerificationError, match="expected 00"):
        ImageBackbone.load(f"monai:tiny@{path}", sha256="00")
    with pytest.raises(BadParamsError, match="can hold code"):
        ImageBackbone.load(f"monai:tiny@{path}")


def test_checkpoint_that_holds_code_is_refused_and_not_run(tmp_path, monkeypatch):
    class Evil:
        def __reduce__(self):
            return (sys.modules["builtins"].exec, ("import pathlib; pathlib.Path('ran').touch()",))

    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pt"
    digest = write_checkpoint(path, {"features.conv0.weight": Evil()})
    with pytest.raises(VerificationError, match="cannot be read as tensors"):
        ImageBackbone.load(f"monai:tiny@{path}", sha256=digest)
    assert not (tmp_path / "ran").exists()


def test_checkpoint_of_another_network_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    write_checkpoint(path, {"conv.weight": torch.zeros(3, 3)})
    with pytest.raises(VerificationError, match="lack"):
        ImageBackbone.load(f"monai:tiny@{path}")


def test_reference_finds_random_and_copied_weights_again(tmp_path):
    path = tmp_path / "mine.safetensors"
    write_checkpoint(path, fitted_network().state_dict())
    for place, backbone in enumerate((ImageBackbone.load("monai:tiny"), ImageBackbone.load(f"monai:tiny@{path}"))):
        folder = tmp_path / str(place)
        folder.mkdir()
        backbone.save_reference(folder)
        path.unlink(missing_ok=True)
        found = ImageBackbone.load_reference(folder)
        np.testing.assert_array_equal(found.features(PIXELS), backbone.features(PIXELS))
        assert found.weights_id == backbone.weights_id
        write_checkpoint(path, fitted_network().state_dict())


def test_vision_transformer_is_refused_as_it_has_no_maps():
    for name in ("monai:vit", "monai:ViT"):
        with pytest.raises(BadParamsError, match="no maps") as caught:
            ImageBackbone.load(name)
        assert "densenet121" in caught.value.repair


def test_unknown_network_offers_the_nearest():
    with pytest.raises(BadParamsError, match="densenet121"):
        ImageBackbone.load("monai:densenet_121")


def test_without_monai_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "monai.networks", None)
    with pytest.raises(MissingArtifactError, match="medical"):
        ImageBackbone.load("monai:densenet121", scratch_seed=0)


def xray_tensors():
    """A DenseNet121 under the names that TorchXRayVision's has: one channel, no `layers`, another classifier."""
    torch.manual_seed(3)
    network = nets.densenet121(spatial_dims=2, in_channels=1, out_channels=2).eval()
    tensors = {name.replace(".layers.", "."): value for name, value in network.state_dict().items()}
    tensors = {name: value for name, value in tensors.items() if not name.startswith("class_layers")}
    return network, {**tensors, "classifier.weight": torch.zeros(18, 1024), "op_threshs": torch.zeros(18)}


def test_torchxrayvision_file_is_found_and_scaled_as_its_package_does(tmp_path, monkeypatch):
    monkeypatch.setenv("CROSSDOMAIN_CACHE", str(tmp_path))
    network, tensors = xray_tensors()
    (tmp_path / "torchxrayvision").mkdir()
    digest = write_checkpoint(tmp_path / "torchxrayvision" / "densenet121-res224-all.safetensors", tensors)
    backbone = ImageBackbone.load("torchxrayvision:densenet121-res224-all")
    planes = (2 * (torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float() / 255) - 1) * 1024
    with torch.no_grad():
        expected = torch.relu(network.features(planes)).mean(dim=(2, 3)).numpy()
    found = backbone.features(PIXELS)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    assert backbone.weights_id == digest and backbone.num_stages == 5


def test_torchxrayvision_without_its_file_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("CROSSDOMAIN_CACHE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(MissingArtifactError, match="pip install torchxrayvision") as caught:
        ImageBackbone.load("torchxrayvision:densenet121-res224-all")
    assert "densenet121-res224-all.safetensors" in caught.value.repair
    with pytest.raises(BadParamsError, match="no densenet121"):
        ImageBackbone.load("torchxrayvision:resnet50-res512-all")


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_every_strategy_trains_a_monai_network(strategy, tmp_path):
    """As far as a strategy fits any convolutional backbone; what it moves is tested with the tiny backbone."""
    options = {"backbone": "monai:tiny", "strategy": strategy, "training": {"epochs": 1, "batch_size": 8}}
    samples = blob_samples(12, seed=1)[0]
    learner = LEARNERS["image_classifier"](options, seed=0).fit(samples)
    expected = learner.predict_logits(samples)
    save_learner(learner, tmp_path / "saved")
    np.testing.assert_allclose(load_learner(tmp_path / "saved").predict_logits(samples), expected, atol=1e-5)
    assert expected.std() > 0


def test_probe_on_a_monai_network_has_a_graph(tmp_path):
    pytest.importorskip("onnxruntime")
    from small_defect_model import make_defect_model

    from core.images.image import images_of, stack_pixels
    from core.images.onnx_export import write_onnx
    from core.pictures.onnx_files import build_module, parity, session_score

    options = {"backbone": "monai:efficientnet_b0", "stages": (3, 5), "head": "logistic", "strength": 1.0}
    model = make_defect_model("image_probe", {**options, "precision": "fp32", "views": "none"}, has_kinds=False)
    test = blob_samples(4, seed=3)[0]
    write_onnx(build_module(model), stack_pixels(images_of(test))[:2], tmp_path / "m.onnx")
    assert parity(model, test, session_score(tmp_path / "m.onnx"), 1e-3)["largest_difference"] < 1e-4
