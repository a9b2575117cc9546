"""MONAI's DenseNet and EfficientNetBN as image backbones, by name `monai:<network>`, and TorchXRayVision's weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from core.data.feature_cache import cache_root
from core.errors import BadParamsError, MissingArtifactError, did_you_mean

if TYPE_CHECKING:
    Builder = Callable[[], nn.Module]

PREFIX, XRAY_PREFIX = "monai:", "torchxrayvision:"
DENSENETS = ("densenet121", "densenet169", "densenet201")
EFFICIENTNETS = tuple(f"efficientnet_b{number}" for number in range(8))
WITHOUT_MAPS = ("vit", "vitautoenc", "swin")
XRAY_NETWORK = "densenet121"
XRAY_FOLDER = Path(".torchxrayvision") / "models_data"  # below the home folder, where the package keeps its own
NETWORKS: dict[str, Builder] = {}  # further names -> builder of a MONAI DenseNet or EfficientNetBN


def is_monai_name(name: str) -> bool:
    """Whether a backbone or model name is one of this module's."""
    return name.startswith((PREFIX, XRAY_PREFIX))


def resolve(name: str, scratch_seed: int | None) -> tuple[str, str, int | None]:
    """(model name, checkpoint, seed of random weights) of a backbone's name; no checkpoint where a seed is told.

    Names: `monai:<network>`, `torchxrayvision:<weights>`, each with or without `@<file>`. A MONAI network without a
    file has random weights of seed 0.

    Raises:
        BadParamsError: weights of TorchXRayVision that are of another network than DenseNet121.
        MissingArtifactError: they are not on this machine; it says how they come there.
    """
    told, _, checkpoint = name.partition("@")
    if told.startswith(XRAY_PREFIX):
        weights = told.removeprefix(XRAY_PREFIX)
        if not weights.startswith(XRAY_NETWORK):
            raise BadParamsError(
                f"TorchXRayVision's '{weights}' is no {XRAY_NETWORK}.",
                repair=f"Choose {XRAY_PREFIX}{XRAY_NETWORK}-res224-all.",
            )
        told = f"{XRAY_PREFIX}{XRAY_NETWORK}"
        if not checkpoint and scratch_seed is None:
            checkpoint = str(_xray_file(weights))
    if scratch_seed is not None or not checkpoint:
        return told, "", scratch_seed or 0
    return told, checkpoint, None


def create(model_name: str) -> MonaiNetwork:
    """The network with random weights (from torch's random state), its classifier left out.

    Raises:
        BadParamsError: no such network, or one without maps.
        MissingArtifactError: MONAI is not installed.
    """
    is_xray = model_name.startswith(XRAY_PREFIX)
    name = model_name.removeprefix(XRAY_PREFIX if is_xray else PREFIX).lower().replace("-", "_")
    if name.startswith(WITHOUT_MAPS):
        raise BadParamsError(
            f"'{model_name}' cannot be divided into stages: its tokens are no maps (N, C, h, w).",
            repair=f"Choose a convolutional network such as {PREFIX}densenet121 or {PREFIX}efficientnet_b0.",
        )
    known = (*DENSENETS, *EFFICIENTNETS, *NETWORKS)
    if name not in known:
        raise BadParamsError(f"There is no MONAI backbone '{model_name}'.", repair=did_you_mean(name, known))
    try:
        from monai.networks import nets
    except ImportError:
        raise MissingArtifactError(
            f"Backbone '{model_name}' needs MONAI, which is not installed.", repair="pip install 'crossdomain[medical]'"
        ) from None
    if name in NETWORKS:
        network = NETWORKS[name]()
    elif name in DENSENETS:
        network = getattr(nets, name)(spatial_dims=2, in_channels=3, out_channels=2)
    else:
        network = nets.EfficientNetBN(name.replace("_", "-"), pretrained=False, spatial_dims=2, in_channels=3)
    return MonaiNetwork(network, scale="xray" if is_xray else "unit")


class MonaiNetwork(nn.Module):
    """The surface of a timm model around MONAI's: `stem`, `stages`, `default_cfg`, `forward_features`, `forward_head`.

    scale: what pixels were in training: `unit`, 0..1 as MONAI's ScaleIntensity gives; `xray`, -1024..1024 as
    TorchXRayVision's. adopt: a checkpoint's tensors by this module's names.
    """

    def __init__(self, network: nn.Module, *, scale: str) -> None:
        super().__init__()
        names = {id(tensor): name for name, tensor in network.state_dict(keep_vars=True).items()}
        self._whole = (network,)  # in a tuple: its modules are registered once, by stages
        parts, self.num_features, self._forward_maps = _parts(network)
        self.stem = nn.Sequential(*parts[0])
        self.stages = nn.ModuleList(nn.Sequential(*stage) for stage in parts[1:])
        own = self.state_dict(keep_vars=True)
        self._own_names = {names[id(tensor)]: name for name, tensor in own.items()}
        mean, std = ((0.5,) * 3, (0.5 / 1024,) * 3) if scale == "xray" else ((0.0,) * 3, (1.0,) * 3)
        self.default_cfg = {"mean": mean, "std": std, "classifier": ()}

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, C, h, w) by MONAI's own modules, in its own order; the stages are checked against it."""
        return self._forward_maps(self._whole[0], x)

    def forward_head(self, maps: Tensor, *, pre_logits: bool = True) -> Tensor:
        """(N, num_features): the mean over a map."""
        return maps.mean(dim=(2, 3))

    def reset_classifier(self, num_classes: int) -> None:
        """There is none."""

    def adopt(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """MONAI's or TorchXRayVision's names of tensors turned into this module's; others stay.

        A first convolution of one channel becomes one of three equal channels with a third of its weights each, which
        gives the same for a grey picture.
        """
        state, found = self.state_dict(), {}
        for name, tensor in tensors.items():
            plain = name.removeprefix("module.")
            layer = plain.replace(".norm", ".layers.norm").replace(".conv", ".layers.conv")
            own = next((self._own_names[key] for key in (plain, layer) if key in self._own_names), plain)
            if own in state and tensor.ndim == 4 and tensor.shape[1] == 1 and state[own].shape[1] == 3:
                tensor = tensor.repeat(1, 3, 1, 1) / 3.0
            found[own] = tensor
        return found


def _parts(network: nn.Module) -> tuple[list[list[nn.Module]], int, Callable[[Any, Tensor], Tensor]]:
    """(modules of the stem and of each stage, features, the maps by the network's own forward)."""
    if hasattr(network, "features"):
        return _densenet_parts(network)
    network.set_swish(memory_efficient=False)  # the other has a gradient of its own, which no ONNX graph holds
    stem = [network._conv_stem_padding, network._conv_stem, network._bn0, network._swish]
    head = [network._conv_head_padding, network._conv_head, network._bn1, network._swish]
    *inner, last = ([block] for block in network._blocks)

    def forward_maps(whole: Any, x: Tensor) -> Tensor:
        x = whole._blocks(whole._swish(whole._bn0(whole._conv_stem(whole._conv_stem_padding(x)))))
        return whole._swish(whole._bn1(whole._conv_head(whole._conv_head_padding(x))))

    return [stem, *inner, last, head], network._fc.in_features, forward_maps


def _densenet_parts(network: nn.Module) -> tuple[list[list[nn.Module]], int, Callable[[Any, Tensor], Tensor]]:
    """A block with the transition after it is a stage; the last one ends with the norm and the activation."""
    stages: list[list[nn.Module]] = [[]]
    for name, module in network.features.named_children():
        if name.startswith("denseblock"):
            stages.append([])
        stages[-1].append(module)
    stages[-1].append(nn.ReLU())
    return stages, network.class_layers.out.in_features, lambda whole, x: whole.class_layers.relu(whole.features(x))


def _xray_file(name: str) -> Path:
    """The tensors of TorchXRayVision's weights on this machine.

    Raises:
        MissingArtifactError: they are not there.
    """
    for folder in (cache_root() / "torchxrayvision", Path.home() / XRAY_FOLDER):
        if (path := folder / f"{name}.safetensors").is_file():
            return path
    raise MissingArtifactError(
        f"The weights '{name}' of TorchXRayVision are not on this machine.",
        repair=(
            f'Where torchxrayvision is installed (pip install torchxrayvision): python -c "import torchxrayvision as '
            f"x; from safetensors.torch import save_file; save_file(x.models.DenseNet(weights='{name}').state_dict(), "
            f"'{name}.safetensors')\"; then put the file into {XRAY_FOLDER.as_posix()} of the home folder, or write "
            f"'{XRAY_PREFIX}{name}@FILE'. The package's own .pt file is a pickle, which can hold code, and is not read."
        ),
    )
