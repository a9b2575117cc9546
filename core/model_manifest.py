"""The list of a saved model's files with their SHA-256: written last, compared before anything is read."""

from __future__ import annotations

from pathlib import Path

from core.artifacts import read_json, write_json
from core.data.domain_folder import sha256_of
from core.errors import MissingArtifactError, VerificationError

FORMAT = 1
MANIFEST_FILE = "manifest.json"
REPAIR = "Run `dvc repro` to train it again, or `dvc checkout` to restore the files."


def write_manifest(folder: Path) -> None:
    """List every file of a model folder."""
    sums = {path.relative_to(folder).as_posix(): sha256_of(path) for path in model_files(folder)}
    write_json(folder / MANIFEST_FILE, {"format": FORMAT, "sha256": sums})


def verify_folder(folder: Path) -> None:
    """Compare every file with the manifest's SHA-256.

    Raises:
        MissingArtifactError: there is no model.
        VerificationError: a file is changed, missing or not listed, or the format is a later one.
    """
    folder = Path(folder)
    if not (folder / MANIFEST_FILE).exists():
        raise MissingArtifactError(
            f"{folder} holds no model ({MANIFEST_FILE} is missing).", repair="Run `dvc repro` to train one."
        )
    manifest = read_json(folder / MANIFEST_FILE)
    if manifest.get("format") != FORMAT:
        raise VerificationError(
            f"{folder} is a model of format {manifest.get('format')!r}, expected {FORMAT}.",
            repair="Train it again with this version, or install the version that wrote it.",
        )
    expected = manifest["sha256"]
    found = {path.relative_to(folder).as_posix(): path for path in model_files(folder) if path.name != MANIFEST_FILE}
    for name, digest in expected.items():
        if name not in found:
            raise VerificationError(f"{folder / name} is missing.", repair=REPAIR)
        if sha256_of(found[name]) != digest:
            raise VerificationError(f"{folder / name} was changed after it was saved (SHA-256 differs).", repair=REPAIR)
    if extra := sorted(set(found) - set(expected)):
        raise VerificationError(
            f"{folder} holds files that the model did not save: {', '.join(extra)}.", repair="Remove them."
        )


def model_files(folder: Path) -> list[Path]:
    """All files below `folder` in a fixed order; hidden ones (a file manager's) are no part of a model."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
