"""A version's model folder against its record, with the standard library alone, so that a rollback is quick."""

from __future__ import annotations

from pathlib import Path

from core.artifacts import read_json
from core.data.domain_folder import sha256_of
from core.errors import MissingArtifactError, VerificationError
from core.lifecycle.registry.durable import copy_durably, placing_folder
from core.lifecycle.registry.places import Places
from core.lifecycle.registry.records import Version
from core.model_manifest import MANIFEST_FILE


def folder_digest(folder: Path) -> str:
    """SHA-256 of a model folder's list of files and their checksums: equal for equal models."""
    return sha256_of(Path(folder) / MANIFEST_FILE)


def listed_files(folder: Path) -> dict[str, str]:
    """The files that a model folder's manifest names, with their SHA-256."""
    return dict(read_json(Path(folder) / MANIFEST_FILE)["sha256"])


def place_model(places: Places, version: Version, source: Path) -> None:
    """Copy the version's files from `source` to its place, compared with the record before they appear there.

    Raises:
        VerificationError: `source` was written anew meanwhile.
    """
    with placing_folder(places.model(version.version)) as folder:
        try:
            for name in [*version.files, MANIFEST_FILE]:
                copy_durably(source / name, folder / name)
        except FileNotFoundError as error:
            told = f"{error.filename} went away"
        else:
            told = difference(folder, version)
        if told:
            raise VerificationError(
                f"{source} changed while it was copied: {told}.", repair="Run again when nothing trains it."
            )


def verify_model(places: Places, version: Version) -> None:
    """Compare every file of a version's model with its record.

    Raises:
        MissingArtifactError: the model is not on this machine.
        VerificationError: a file is changed, missing or not of the model.
    """
    folder = places.model(version.version)
    if not folder.is_dir() or not any(_files(folder)):
        raise missing_model(places, version.version)
    if told := difference(folder, version):
        raise VerificationError(
            f"The model of {places.vertical} {version.version} is not the one that was registered: {told}.",
            repair=_repair(places, version.version, "checkout --force"),
        )


def missing_model(places: Places, version: str) -> MissingArtifactError:
    """The error that says how to get a version's model onto this machine."""
    return MissingArtifactError(
        f"{places.shown(places.model(version))} is missing on this machine.", repair=_repair(places, version, "pull")
    )


def difference(folder: Path, version: Version) -> str:
    """What in a model folder is not as the record has it; empty where all is."""
    expected = {**version.files, MANIFEST_FILE: version.model_digest}
    found = _files(folder)
    for name, digest in expected.items():
        if name not in found:
            return f"{name} is missing"
        if sha256_of(found[name]) != digest:
            return f"{name} differs (SHA-256)"
    extra = sorted(set(found) - set(expected))
    return f"{', '.join(extra)} is no part of it" if extra else ""


def _files(folder: Path) -> dict[str, Path]:
    """Every file by its path in the folder; hidden ones (a file manager's) are no part of a model."""
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path for path in paths}


def _repair(places: Places, version: str, action: str) -> str:
    """The command that restores a model: always with its DVC file, which the registering machine may not have made."""
    tracked = places.tracked(version)
    command = f"`dvc {action} {places.shown(tracked)}`"
    if tracked.exists():
        return f"Restore it: {command}."
    return (
        f"DVC does not track it here: get {places.shown(tracked)} from git, then {command};"
        " or copy the folder from the machine that registered it."
    )
