"""Tensors of an image backbone from a verified file, brought into the names of timm's model."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from core.backbones.weights import Weights
from core.errors import MissingArtifactError, VerificationError

if TYPE_CHECKING:
    from torch import Tensor, nn

CONFIG = "config.json"


def read_tensors(weights: Weights) -> dict[str, Tensor]:
    """The file's tensors by name. A .pth or .pt is opened only after its bytes gave the expected SHA-256.

    Raises:
        VerificationError: the file changed since it was verified, or holds more than tensors.
        MissingArtifactError: a folder with several shards.
    """
    import torch
    from safetensors.torch import load as load_safetensors

    file = weights.file or _only_safetensors(weights.folder)
    raw = file.read_bytes()
    if hashlib.sha256(raw).hexdigest() != weights.sha256:
        raise VerificationError(f"{file} changed while it was read.", repair="Do not use these weights.")
    try:
        if file.suffix == ".safetensors":
            return load_safetensors(raw)
        state = torch.load(io.BytesIO(raw), weights_only=True, map_location="cpu")
    except Exception as error:  # torch and safetensors raise several kinds for a damaged file
        raise VerificationError(f"{file} cannot be read as tensors: {error}") from None
    for key in ("state_dict", "model"):  # as Lightning, and as MONAI's CheckpointSaver write them
        state = state.get(key, state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise VerificationError(f"{file} holds something else than named tensors.")
    return dict(state)


def told_model_name(weights: Weights) -> str:
    """timm's model name as the `config.json` beside the weights tells it (`architecture`); empty where it does not."""
    path = weights.folder / CONFIG
    if not path.is_file():
        return ""
    config = json.loads(path.read_text(encoding="utf-8"))
    return str(config.get("architecture", "")) if isinstance(config, dict) else ""


def fit_tensors(model: nn.Module, tensors: dict[str, Tensor], *, by_order: bool, name: str) -> None:
    """Give the model the tensors, by name or by their order; its classifier may be absent on either side.

    Raises:
        VerificationError: a tensor is missing, or has another shape.
    """
    state = model.state_dict()
    if by_order:
        if len(tensors) != len(state):
            raise VerificationError(f"The weights of '{name}' are {len(tensors)} tensors, expected {len(state)}.")
        tensors = dict(zip(state, tensors.values(), strict=True))
    classifiers = _classifier_prefixes(model)
    missing = [key for key in state if key not in tensors and not key.startswith(classifiers)]
    if missing:
        raise VerificationError(
            f"The weights of '{name}' lack '{missing[0]}' and {len(missing) - 1} more tensors.",
            repair="Tell the model that they were saved from.",
        )
    kept = {}
    for key, value in state.items():
        found = tensors.get(key)
        if found is not None and found.shape != value.shape and not key.startswith(classifiers):
            raise VerificationError(
                f"Tensor '{key}' of '{name}' has shape {tuple(found.shape)}, expected {tuple(value.shape)}.",
                repair="Tell the model that they were saved from.",
            )
        kept[key] = found if found is not None and found.shape == value.shape else value
    model.load_state_dict(kept)


def _classifier_prefixes(model: nn.Module) -> tuple[str, ...]:
    """How the names of the classifier's tensors begin."""
    told = getattr(model, "default_cfg", {}).get("classifier") or ()
    return tuple(f"{one}." for one in ((told,) if isinstance(told, str) else told))


def _only_safetensors(folder: Path) -> Path:
    """The folder's one safetensors file."""
    files = sorted(folder.glob("*.safetensors"))
    if len(files) != 1:
        raise MissingArtifactError(f"{folder} has {len(files)} .safetensors files; an image backbone is one file.")
    return files[0]
