"""Handing a version's model folder to DVC, which keeps and shares it; git keeps the small file that names it."""

from __future__ import annotations

from pathlib import Path

from core.errors import CrossdomainError
from core.lifecycle.dvc_command import run_dvc
from core.lifecycle.registry.model_files import verify_model
from core.lifecycle.registry.places import Places
from core.lifecycle.registry.records import read_version


def track(root: Path, vertical: str, version: str) -> Path:
    """`dvc add` of the version's model; the path of its `.dvc` file. A second time changes nothing.

    Not from within a DVC stage: DVC lets one command in at a time.

    Raises:
        BadInputError: unknown version.
        MissingArtifactError: its model is not on this machine.
        VerificationError: its record or its model is not what was registered; DVC shall keep no other.
        CrossdomainError: DVC failed; its own message is told.
    """
    places = Places(root, vertical)
    verify_model(places, read_version(root, vertical, version))
    done = run_dvc(places.root, "add", "--quiet", places.shown(places.model(version)))
    path = places.tracked(version)
    if not done.is_ok or not path.exists():
        raise CrossdomainError(
            f"DVC does not take {places.shown(places.model(version))}: {done.cause}.",
            repair="The version is registered all the same; mend this and run"
            f" `dvc add {places.shown(places.model(version))}`.",
        )
    return path
