"""Where the project is, and small pieces of the command line that several commands share."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from core.errors import CrossdomainError, MissingArtifactError


def project_root() -> Path:
    """The nearest folder upwards that holds params.yaml and dvc.yaml.

    Raises:
        MissingArtifactError: this is not inside a clone of the project.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "params.yaml").exists() and (folder / "dvc.yaml").exists():
            return folder
    raise MissingArtifactError(
        f"{here} is not inside a Crossdomain project (no params.yaml and dvc.yaml here or above).",
        repair="Change to the folder that you cloned.",
    )


def parse_assignment(text: str) -> tuple[str, Any]:
    """`path=value` with the value read as YAML, so that 3, true, null and [a, b] are what they look like.

    Raises:
        CrossdomainError: there is no `=` in it.
    """
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise CrossdomainError(f"--set '{text}' is not path=value.", repair="Example: --set train.transfer=pooled")
    read = YAML(typ="safe").load(value) if value.strip() else None
    return path.strip(), read.isoformat() if isinstance(read, date) else read
