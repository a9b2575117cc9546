"""How a convolutional timm model is divided into stages."""

from __future__ import annotations

from torch import nn

from core.errors import BadParamsError

CONTAINERS = ("blocks", "stages")  # EfficientNet and MobileNet; ConvNeXt, RepVGG and others
NUMBERED = ("layer", "s")  # ResNet: layer1..4; RegNet: s1..s4
HEADS = {"global_pool", "head", "head_drop", "fc", "classifier"}  # with what follows them: pooling, not a stage


def split_stages(model: nn.Module, model_name: str) -> list[tuple[str, ...]]:
    """The paths of the modules of each stage: the stem, the body, and what learns before the pooling.

    Raises:
        BadParamsError: the model has none of the usual bodies.
    """
    children = dict(model.named_children())
    names = list(children)
    body = _body(children)
    if not body:
        raise BadParamsError(
            f"'{model_name}' cannot be divided into stages: it has neither {', '.join(CONTAINERS)} nor layer1..4.",
            repair="Choose a convolutional model such as efficientnet_lite0, resnet18 or convnext_atto.",
        )
    first, last = (names.index(body[end].split(".")[0]) for end in (0, -1))
    after = []
    for name in names[last + 1 :]:
        if name in HEADS:
            break
        after.append(name)
    paths = [tuple(names[:first]), *((path,) for path in body)]
    if any(True for name in after for _ in children[name].parameters()):
        return [*paths, tuple(after)]
    return [*paths[:-1], (*paths[-1], *after)]


def _body(children: dict[str, nn.Module]) -> list[str]:
    """Paths of the body's stages in order; empty where there is none."""
    for name in CONTAINERS:
        found = children.get(name)
        if isinstance(found, nn.Sequential | nn.ModuleList) and len(found) > 1:
            return [f"{name}.{number}" for number in range(len(found))]
    for prefix in NUMBERED:
        if f"{prefix}1" in children:
            return [f"{prefix}{n}" for n in range(1, len(children) + 1) if f"{prefix}{n}" in children]
    return []
