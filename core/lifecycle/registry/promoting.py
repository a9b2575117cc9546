"""Making a version the champion, going back to an earlier one, putting one away: refused, or done in one rename."""

from __future__ import annotations

from pathlib import Path

from core.errors import BadInputError, VerificationError
from core.lifecycle.registry.model_files import verify_model
from core.lifecycle.registry.places import Places
from core.lifecycle.registry.records import Version, read_version, utc_now
from core.lifecycle.registry.stages import ARCHIVE, PROMOTE, ROLLBACK, Change, Stages, read_stages, write_stages


def promote(root: Path, vertical: str, version: str, *, who: str, reason: str, allow_dirty: bool = False) -> Stages:
    """Make a version the champion, after its model matched its record; the champion's own promotion changes nothing.

    allow_dirty: also a model of code that is in no commit, which nobody can train again.

    Raises:
        BadInputError: unknown version, or no who or reason.
        MissingArtifactError: the version's model is not on this machine.
        VerificationError: the record or the model is not what was registered, or the code was in no commit.
        CrossdomainError: another process changes the registry.
    """
    _require_words(who, reason)
    places = Places(root, vertical)
    with places.writing():
        stages, record = read_stages(root, vertical), read_version(root, vertical, version)
        verify_model(places, record)
        if stages.champion == version:
            return stages
        if not allow_dirty:
            _refuse_dirty(record)
        return _record_change(places, stages, PROMOTE, version, who, reason)


def rollback(root: Path, vertical: str, *, who: str, reason: str, to: str | None = None) -> Stages:
    """Make the champion before the present one champion again, or `to`, a still earlier one; again goes further back.

    A champion that was archived since is passed over. With `to`, a second call changes nothing.

    Raises:
        BadInputError: nothing to go back to, `to` was no champion before this one or is archived, no who or reason.
        MissingArtifactError: that version's model is not on this machine.
        VerificationError: its record or its model is not what was registered.
        CrossdomainError: another process changes the registry.
    """
    _require_words(who, reason)
    places = Places(root, vertical)
    with places.writing():
        stages = read_stages(root, vertical)
        version = _champion_before(vertical, stages) if to is None else to
        record = read_version(root, vertical, version)
        if version != stages.champion:
            _refuse_no_way_back(stages, version, repair=_promotion_repair(vertical, version))
        verify_model(places, record)
        if version == stages.champion:
            return stages
        return _record_change(places, stages, ROLLBACK, version, who, reason)


def archive(root: Path, vertical: str, version: str, *, who: str, reason: str) -> Stages:
    """Put a version away: no challenger any more, and no rollback goes to it. A promotion takes it out again.

    Its model may be missing or damaged: that is a reason to archive it.

    Raises:
        BadInputError: unknown version, the champion itself, or no who or reason.
        VerificationError: its record is not what was registered.
        CrossdomainError: another process changes the registry.
    """
    _require_words(who, reason)
    places = Places(root, vertical)
    with places.writing():
        stages = read_stages(root, vertical)
        read_version(root, vertical, version)
        if stages.champion == version:
            raise BadInputError(
                f"{version} is the champion of {vertical} and cannot be archived.",
                repair="Promote another or roll back first.",
            )
        if version in stages.withdrawn:
            return stages
        return _record_change(places, stages, ARCHIVE, version, who, reason)


def _record_change(places: Places, stages: Stages, action: str, version: str, who: str, reason: str) -> Stages:
    previous = None if action == ARCHIVE else stages.champion
    change = Change(utc_now(), who.strip(), action, version, previous, reason.strip())
    new = Stages(stages.champion if action == ARCHIVE else version, (*stages.changes, change))
    write_stages(places.root, places.vertical, new)
    return new


def _champion_before(vertical: str, stages: Stages) -> str:
    before = [name for name in stages.line[:-1] if name not in stages.withdrawn and name != stages.champion]
    if not before:
        present = f"before {stages.champion}, or it is archived" if stages.champion else "yet"
        raise BadInputError(
            f"{vertical} has nothing to roll back to: there was no champion {present}.",
            repair=_promotion_repair(vertical, "VERSION"),
        )
    return before[-1]


def _promotion_repair(vertical: str, version: str) -> str:
    return f"To make another the champion all the same: `crossdomain registry promote {vertical} {version}`."


def _refuse_no_way_back(stages: Stages, version: str, *, repair: str) -> None:
    if version in stages.withdrawn:
        last = [change for change in stages.changes if (change.action, change.version) == (ARCHIVE, version)][-1]
        raise BadInputError(f"{version} was archived by {last.who}: {last.reason}.", repair=repair)
    if version not in stages.line[:-1]:
        raise BadInputError(f"{version} was no champion before {stages.champion}.", repair=repair)


def _refuse_dirty(record: Version) -> None:
    lineage = record.lineage
    if not lineage.is_code_dirty and lineage.code_commit:
        return
    code = f"on {lineage.code_commit[:12]} with changes that were" if lineage.code_commit else "of code that was"
    raise VerificationError(
        f"{record.version} was trained {code} in no commit, so nobody can train it again.",
        repair="Commit the code and train again; or promote it with --allow-dirty (allow_dirty=True).",
    )


def _require_words(who: str, reason: str) -> None:
    empty = [name for name, text in (("who", who), ("reason", reason)) if not text.strip()]
    if empty:
        raise BadInputError(f"Without {' and '.join(empty)} nothing is recorded.", repair="Say it in a few words.")
