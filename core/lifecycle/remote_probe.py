"""Run in the project's folder: does its DVC remote answer? One question, and no transfer.

A process of its own, as what does not answer can be stopped in no other way; nothing of the project is imported.
"""

from __future__ import annotations

import sys
from pathlib import Path

SECONDS_TO_ANSWER = 4  # each time it is asked


def ask_remote(root: Path) -> None:
    """Return where the remote answers, whether or not anything was ever sent to it.

    Raises:
        Exception: DVC's own, or that of the library behind it.
    """
    from dvc.config import Config
    from dvc.fs import get_cloud_fs

    config = Config(str(Path(root) / ".dvc"))
    name = config["core"]["remote"]
    settings = config["remote"][name]
    scheme = settings["url"].partition("://")[0]
    if scheme in ("http", "https"):
        return _ask_web(settings["url"])
    if scheme == "s3":
        settings.setdefault("connect_timeout", SECONDS_TO_ANSWER)
        settings.setdefault("read_timeout", SECONDS_TO_ANSWER)
    file_system, options, path = get_cloud_fs(config, name=name)
    file_system(**options).exists(path)


def _ask_web(address: str) -> None:
    """Any answer counts, a refusal too: DVC's own question takes no answer for "there is nothing"."""
    import requests

    try:
        requests.head(address, timeout=SECONDS_TO_ANSWER)
    except requests.exceptions.SSLError:
        return  # there is somebody; DVC has settings of its own for certificates


if __name__ == "__main__":
    try:
        ask_remote(Path.cwd())
    except Exception as error:  # whatever the library behind DVC raises
        sys.exit(f"{error or type(error).__name__}")
