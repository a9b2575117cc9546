"""Registering a model: its folder first, its record last, so that a version that can be read is whole."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from core.lifecycle.registry.model_files import difference, folder_digest, listed_files, place_model
from core.lifecycle.registry.places import Places, names_in, version_name, version_number
from core.lifecycle.registry.records import (
    Lineage,
    RegistrationFacts,
    Version,
    as_json,
    list_versions,
    utc_now,
    write_record,
)
from core.lifecycle.registry.stages import Stages, read_stages
from core.model_manifest import verify_folder


def register(root: Path, vertical: str, model_folder: Path, facts: RegistrationFacts) -> Version:
    """Copy a saved model to `models/` and write its record; it is nobody's champion yet.

    The same model of the same data, parameters and code is registered once: a second time gives the version that is
    there, with its model put back where that was lost. The champion meanwhile (`parent`) makes no other version.

    Raises:
        MissingArtifactError: `model_folder` holds no model.
        VerificationError: a file of it is changed, missing or not listed, or a record of the registry is damaged.
        CrossdomainError: another process registers for too long.
    """
    model_folder = Path(model_folder)
    verify_folder(model_folder)
    places = Places(root, vertical)
    with places.writing():
        known, stages = list_versions(root, vertical), read_stages(root, vertical)
        wanted = _described(places, model_folder, facts, stages, known)
        same = next((version for version in known if _origin(version) == _origin(wanted)), None)
        version = same or wanted
        if same is None or difference(places.model(version.version), version):
            place_model(places, version, model_folder)
        return same or write_record(places, wanted)


def _described(
    places: Places, model_folder: Path, facts: RegistrationFacts, stages: Stages, known: list[Version]
) -> Version:
    """The version that would be written."""
    return Version(
        vertical=places.vertical,
        version=_next_name(places, known, stages),
        created_at=utc_now(),
        model_digest=folder_digest(model_folder),
        files=listed_files(model_folder),
        lineage=Lineage(
            data_md5=facts.data_md5,
            batches=as_json(facts.batches),
            params=as_json(facts.params),
            code_commit=facts.code_commit,
            is_code_dirty=facts.is_code_dirty,
            parent=stages.champion,
        ),
        target_domain=facts.target_domain,
        metrics=as_json(facts.metrics),
        notes=facts.notes,
    )


def _next_name(places: Places, known: list[Version], stages: Stages) -> str:
    """Above every number in use, also where only DVC or a change still names it: no number means two models."""
    names = [version.version for version in known] + [change.version for change in stages.changes]
    names += names_in(places.models, ".dvc")
    return version_name(1 + max((version_number(name) for name in names), default=0))


def _origin(version: Version) -> tuple[str, dict]:
    """What makes two registrations the same."""
    return version.model_digest, {key: value for key, value in asdict(version.lineage).items() if key != "parent"}
