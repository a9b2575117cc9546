"""Files from installed packages, a mirror or a public archive; nothing is used before its SHA-256 has matched."""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import os
import time
import urllib.error
import urllib.request
from pathlib import Path

import pandas as pd

from core.artifacts import replacing_file
from core.data.domain_folder import sha256_of
from core.errors import MissingArtifactError, OfflineError, VerificationError

MIRROR_VARIABLE = "CROSSDOMAIN_MIRROR"
TIMEOUT_SECONDS = 15.0  # for the connection and for each read
MAX_SECONDS = 600.0  # for one file
DEMO_REPAIR = "Run `pip install 'crossdomain[demo]'`, or set CROSSDOMAIN_MIRROR to a folder or URL with the file."


def verify_sha256(path: Path, sha256: str) -> Path:
    """The path, after its content was found to be what was pinned.

    Raises:
        VerificationError: the content differs.
    """
    actual = sha256_of(path)
    if actual != sha256:
        raise VerificationError(
            f"{Path(path).name} has SHA-256 {actual[:16]}…, expected {sha256[:16]}….",
            repair="It is another version or damaged: install the pinned package, or mend the mirror.",
        )
    return Path(path)


def locate_package_file(distribution: str, relative_path: str, sha256: str, *, cache: Path | None = None) -> Path:
    """The verified file of an installed distribution (never imported), or the mirror's copy of it.

    The mirror keeps it as `<distribution>/<relative_path>` or under its bare file name. A mirror URL is downloaded into
    `cache` (default: ~/.cache/crossdomain).

    Raises:
        MissingArtifactError: neither the package nor a mirror has it.
        VerificationError: what was found has another checksum.
        OfflineError: the mirror's URL cannot be reached.
    """
    try:
        installed = Path(str(importlib.metadata.distribution(distribution).locate_file(relative_path)))
    except importlib.metadata.PackageNotFoundError:
        installed = None
    has_file = installed is not None and installed.is_file()
    # another version may be installed, and then a mirror may have the pinned file
    if has_file and (not os.environ.get(MIRROR_VARIABLE) or sha256_of(installed) == sha256):
        return verify_sha256(installed, sha256)
    mirrored = find_in_mirror([f"{distribution}/{relative_path}", Path(relative_path).name], sha256, cache=cache)
    if mirrored is None:
        raise MissingArtifactError(
            f"The file {relative_path} of the package '{distribution}' is not installed.", repair=DEMO_REPAIR
        )
    return mirrored


def find_in_mirror(names: list[str], sha256: str, *, cache: Path | None = None) -> Path | None:
    """The first of `names` that the mirror (folder or URL) has, verified; None without a mirror or a match.

    Raises:
        MissingArtifactError: the mirror names a folder that is not there.
        OfflineError: the mirror's URL cannot be reached.
        VerificationError: the mirror's file has another checksum.
    """
    mirror = os.environ.get(MIRROR_VARIABLE, "").strip()
    if not mirror:
        return None
    if not mirror.startswith(("http://", "https://")):
        folder = Path(mirror.removeprefix("file://"))
        if not folder.is_dir():
            raise MissingArtifactError(f"{MIRROR_VARIABLE}={mirror} is no folder.", repair="Mend or unset it.")
        for name in names:
            if (folder / name).is_file():
                return verify_sha256(folder / name, sha256)
        return None
    cache = cache or Path.home() / ".cache" / "crossdomain"
    for name in names:
        destination = cache / sha256[:16] / Path(name).name
        try:
            return download(f"{mirror.rstrip('/')}/{name}", destination, sha256)
        except MissingArtifactError:
            continue
    return None


def download(url: str, destination: Path, sha256: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> Path:
    """Fetch one file, once, without retries; it appears at `destination` only when its checksum matched.

    Raises:
        MissingArtifactError: the server has no such file.
        OfflineError: the server cannot be reached, is too slow, or refuses.
        VerificationError: the content is not what was pinned.
    """
    destination = Path(destination)
    if destination.is_file() and sha256_of(destination) == sha256:
        return destination
    repair = "Check the network, or set CROSSDOMAIN_MIRROR to a folder or URL that has the file."
    started = time.monotonic()
    with replacing_file(destination) as temporary:
        try:
            with (
                urllib.request.urlopen(url, timeout=timeout_seconds) as response,
                temporary.open("wb") as file,
            ):
                while piece := response.read(1024 * 1024):
                    file.write(piece)
                    if time.monotonic() - started > MAX_SECONDS:
                        raise OfflineError(f"{url} takes longer than {MAX_SECONDS:.0f} s.", repair=repair)
        except urllib.error.HTTPError as error:
            if error.code in {404, 410}:
                raise MissingArtifactError(f"{url} is not there.", repair=repair) from None
            raise OfflineError(f"{url} answers {error.code} {error.reason}.", repair=repair) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise OfflineError(f"{url} cannot be reached ({reason}).", repair=repair) from None
        verify_sha256(temporary, sha256)
    return destination


def read_pinned_pickle(path: Path, sha256: str) -> pd.DataFrame:
    """A data frame from an xz-compressed pickle of a demo package.

    A pickle can run code, so the very bytes that are unpickled are hashed first and must be the pinned ones.
    Nothing else in this project reads a pickle.

    Raises:
        VerificationError: the bytes are not the pinned ones, or hold no data frame.
    """
    content = Path(path).read_bytes()
    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256:
        raise VerificationError(
            f"{Path(path).name} has SHA-256 {actual[:16]}…, expected {sha256[:16]}…; it is not opened.",
            repair="Install the pinned package: pip install 'crossdomain[demo]'.",
        )
    frame = pd.read_pickle(io.BytesIO(content), compression="xz")
    if not isinstance(frame, pd.DataFrame):
        raise VerificationError(f"{Path(path).name} holds no data frame.")
    return frame
