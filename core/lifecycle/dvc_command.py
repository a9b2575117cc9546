"""A DVC command in a process of its own: whether it worked, and its own words without the credentials in them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.lifecycle.process import with_parent_death

SECRET_VARIABLE = re.compile(r"(?i)(KEY|SECRET|TOKEN|PASSWORD|CONNECTION_STRING)(_ID)?$")
USER_IN_ADDRESS = re.compile(r"://[^/\s'\"]+@")
SECRET_IN_ADDRESS = re.compile(r"(?i)\b((?:x-amz-)?(?:signature|credential|security-token)|sig|token)=[^&\s'\"]+")
NOISE = re.compile(r"Having any troubles\?.*?happy to help!|<https://error\.dvc\.org/[\w-]+>")
NUM_KEPT_CHARACTERS = 500
MIN_SECRET_CHARACTERS = 4  # a shorter one would blank out words


@dataclass(frozen=True)
class DvcDone:
    """told: all that DVC said, on one line."""

    is_ok: bool
    told: str

    @property
    def cause(self) -> str:
        """The end of it, where the cause stands."""
        return self.told[-NUM_KEPT_CHARACTERS:].rstrip(" .")


def run_dvc(root: Path, *arguments: str, timeout_seconds: float | None = None, secrets: Iterable[str] = ()) -> DvcDone:
    """DVC in the project's folder; it asks nothing, and ends with this process.

    secrets: values that may not be told, besides those that the environment and addresses hold.

    Raises:
        subprocess.TimeoutExpired: it was stopped after `timeout_seconds`.
    """
    return run_python(
        root,
        "-m", "core.lifecycle.killable_dvc", *arguments,
        timeout_seconds=timeout_seconds, secrets=secrets, variables=with_parent_death({}),
    )  # fmt: skip


def run_python(
    root: Path,
    *arguments: str,
    timeout_seconds: float | None = None,
    secrets: Iterable[str] = (),
    variables: Mapping[str, str] | None = None,
) -> DvcDone:
    """`python` as `run_dvc` does it; variables: of the environment, besides this one's."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "DVC_NO_ANALYTICS": "1", **(variables or {})}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=root, env=environment, capture_output=True, stdin=subprocess.DEVNULL, text=True, errors="replace",
        check=False, timeout=timeout_seconds,
    )  # fmt: skip
    told = without_secrets(done.stderr.strip() or done.stdout, secrets)
    told = " ".join(NOISE.sub("", told).split()) or f"exit code {done.returncode}"
    return DvcDone(done.returncode == 0, told)


def without_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with *** for these values, for the environment's keys and passwords and for those in addresses."""
    of_environment = (value for name, value in os.environ.items() if SECRET_VARIABLE.search(name))
    for secret in sorted({*secrets, *of_environment}, key=len, reverse=True):
        if len(secret) >= MIN_SECRET_CHARACTERS:
            text = text.replace(secret, "***")
    return SECRET_IN_ADDRESS.sub(r"\1=***", USER_IN_ADDRESS.sub("://***@", text))
