"""Checkpoints of a run: tensors in safetensors, all else in JSON, the folder replaced whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.artifacts import read_json, replacing_folder, write_json

TENSORS = "tensors.safetensors"
STATE = "state.json"


def flatten_optimizer(state: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimizer's `state_dict` as named tensors and JSON values."""
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Any] = {"param_groups": state["param_groups"], "values": {}}
    for index, values in state["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{name}"] = value
            else:
                plain["values"][f"{index}.{name}"] = value
    return tensors, plain


def unflatten_optimizer(tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> dict[str, Any]:
    """Inverse of `flatten_optimizer`."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in [*tensors.items(), *plain["values"].items()]:
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    groups = [
        {name: tuple(value) if isinstance(value, list) and name != "params" else value for name, value in group.items()}
        for group in plain["param_groups"]
    ]
    return {"state": state, "param_groups": groups}


def save_checkpoint(
    folder: Path,
    sections: Mapping[str, Mapping[str, Tensor]],
    optimizer: torch.optim.Optimizer,
    state: Mapping[str, Any],
) -> None:
    """Write `sections` of tensors (model, best, ...), the optimizer and a JSON state; the old one stays until then."""
    optimizer_tensors, optimizer_plain = flatten_optimizer(optimizer.state_dict())
    tensors = {
        f"{section}/{name}": tensor.detach().cpu().contiguous().clone()
        for section, named in {**sections, "optimizer": optimizer_tensors}.items()
        for name, tensor in named.items()
    }
    with replacing_folder(folder) as temporary:
        save_file(tensors, temporary / TENSORS)
        write_json(temporary / STATE, {**state, "optimizer": optimizer_plain})


def load_checkpoint(folder: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]] | None:
    """(sections of tensors, state), the optimizer's state_dict in state["optimizer"]; None where there is none."""
    folder = Path(folder)
    if not (folder / STATE).exists():
        return None
    sections: dict[str, dict[str, Tensor]] = {}
    for key, tensor in load_file(folder / TENSORS).items():
        section, name = key.split("/", 1)
        sections.setdefault(section, {})[name] = tensor
    state = read_json(folder / STATE)
    state["optimizer"] = unflatten_optimizer(sections.pop("optimizer", {}), state["optimizer"])
    return sections, state
