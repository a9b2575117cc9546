"""A version's record: what the model is, what it was made of and how good it was. Written once, never changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.artifacts import read_json, to_plain
from core.errors import BadInputError, VerificationError, did_you_mean
from core.lifecycle.registry.durable import write_json_durably
from core.lifecycle.registry.places import Places, names_in

RECORD_FORMAT = 1


@dataclass(frozen=True)
class RegistrationFacts:
    """What the one who registers a model knows of it.

    data_md5: of data.dvc. batches: domain -> names of its batches in their order, of the target those with labels.
    params: the vertical's section of params.yaml. code_commit, is_code_dirty: when it was trained; an empty commit is
    code that nobody can find again.
    metrics: name -> value, low, high, as in metrics.json.
    """

    data_md5: str
    batches: Mapping[str, Sequence[str]]
    params: Mapping[str, Any]
    code_commit: str
    is_code_dirty: bool
    target_domain: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    notes: str = ""


@dataclass(frozen=True)
class Lineage:
    """What a model was made of; see RegistrationFacts. parent: the champion when it was registered."""

    data_md5: str
    batches: Mapping[str, Sequence[str]]
    params: Mapping[str, Any]
    code_commit: str
    is_code_dirty: bool
    parent: str | None


@dataclass(frozen=True)
class Version:
    """One registered model. Values are shared: do not edit.

    version: v0001 and so on, in the order of registration. created_at: ISO, UTC, when it was registered.
    model_digest: SHA-256 of its manifest.json. files: path in the model folder -> SHA-256, the manifest left out.
    record_sha256: of all the rest of the record. It shows an edit by hand; it is no signature.
    """

    vertical: str
    version: str
    created_at: str
    model_digest: str
    files: Mapping[str, str]
    lineage: Lineage
    target_domain: str
    metrics: Mapping[str, Any]
    notes: str
    record_sha256: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The record as its file holds it."""
        return {"format": RECORD_FORMAT, **asdict(self)}


def read_version(root: Path, vertical: str, version: str) -> Version:
    """One version's record, after it matched its own SHA-256.

    Raises:
        BadInputError: there is no such version; the nearest is named.
        VerificationError: the record was edited by hand, belongs elsewhere or is of a later format.
    """
    places = Places(root, vertical)
    names = names_in(places.records, ".json")
    if version not in names:
        raise BadInputError(
            f"{vertical} has no version '{version}'.",
            repair=f"{did_you_mean(version, names)} `crossdomain registry list {vertical}` shows them.",
        )
    return _read_record(places, version)


def list_versions(root: Path, vertical: str) -> list[Version]:
    """All versions, oldest first.

    Raises:
        VerificationError: a record is not what was written.
    """
    places = Places(root, vertical)
    return [_read_record(places, name) for name in names_in(places.records, ".json")]


def write_record(places: Places, version: Version) -> Version:
    """Write a new version's record; the version with its `record_sha256`."""
    values = as_json(version.to_dict())
    values["record_sha256"] = _record_sha256(values)
    write_json_durably(places.record(version.version), values)
    return _read_record(places, version.version)


def as_json(value: Any) -> Any:
    """A value as it comes back from a JSON file: plain types, days as text."""
    return json.loads(json.dumps(to_plain(value), default=str, allow_nan=False))


def utc_now() -> str:
    """The time as the registry writes it: ISO, UTC, microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _read_record(places: Places, name: str) -> Version:
    path = places.record(name)
    shown = places.shown(path)
    repair = f"Restore it: `git checkout -- {shown}`; nothing in a record is meant to be changed."
    try:
        values = read_json(path)
        told_format = values["format"]
        is_whole = values["record_sha256"] == _record_sha256(values)
    except (ValueError, KeyError, TypeError):
        raise VerificationError(f"{shown} is no record of a version.", repair=repair) from None
    if told_format != RECORD_FORMAT:
        raise VerificationError(
            f"{shown} is a record of format {told_format!r}, expected {RECORD_FORMAT}.",
            repair="Install the version of Crossdomain that wrote it.",
        )
    if not is_whole:
        raise VerificationError(f"{shown} was edited after it was written (its SHA-256 differs).", repair=repair)
    if (values["vertical"], values["version"]) != (places.vertical, name):
        raise VerificationError(
            f"{shown} is the record of {values['vertical']} {values['version']}, copied here.", repair=repair
        )
    rest = {key: value for key, value in values.items() if key not in ("format", "lineage")}
    return Version(**rest, lineage=Lineage(**values["lineage"]))


def _record_sha256(values: Mapping[str, Any]) -> str:
    """SHA-256 of the record without this very value, whatever its layout in the file."""
    rest = {key: value for key, value in values.items() if key != "record_sha256"}
    text = json.dumps(rest, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
