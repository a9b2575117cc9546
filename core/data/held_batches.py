"""Deliveries that nothing may learn from before a person has looked: set aside with the reason, and taken back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from core.artifacts import read_json, remove_leftovers, write_json
from core.data.domain_folder import batch_names, batch_path, check_name
from core.errors import BadInputError, did_you_mean

HELD = "held"


@dataclass(frozen=True)
class HeldBatch:
    """A delivery that was set aside, and whether somebody has accepted it since. Times: ISO, UTC."""

    batch: str
    reason: str
    held_at: str
    accepted_by: str = ""
    accepted_at: str = ""
    why_accepted: str = ""


def held_path(folder: Path, batch: str) -> Path:
    """Where the rows of a held delivery are."""
    return Path(folder) / HELD / f"{batch}.parquet"


def has_batch(folder: Path, batch: str) -> bool:
    """Whether the domain has a delivery of this name, in use or held."""
    return batch_path(folder, batch).exists() or held_path(folder, batch).exists()


def held_batches(folder: Path) -> list[HeldBatch]:
    """Every delivery that was ever set aside, by name; those with `accepted_by` are in use again."""
    return [HeldBatch(**read_json(path)) for path in sorted((Path(folder) / HELD).glob("[!.]*.json"))]


def is_accepted(folder: Path, batch: str) -> bool:
    """Whether a person has looked at the delivery and taken it back."""
    path = _record(folder, batch)
    return path.exists() and bool(read_json(path)["accepted_by"]) and batch_path(folder, batch).exists()


def set_aside(folder: Path, batch: str, *, reason: str, at: str) -> HeldBatch:
    """Move a delivery's rows out of those in use, by one rename; a second time changes nothing.

    Pictures stay where they are: nothing reads one without its row.

    Raises:
        BadInputError: no such delivery, or it is the only one.
    """
    folder, place = Path(folder), batch_path(folder, batch)
    check_name(batch, "batch")
    if held_path(folder, batch).exists() and not place.exists():
        return HeldBatch(**read_json(_record(folder, batch)))
    names = batch_names(folder)
    if batch not in names:
        raise BadInputError(f"Domain '{folder.name}' has no batch '{batch}'.", repair=did_you_mean(batch, names))
    if names == [batch]:
        raise BadInputError(
            f"'{batch}' is the only batch of '{folder.name}'; without it nothing is left.",
            repair="Import good rows first, or delete the domain's folder.",
        )
    held = HeldBatch(batch, reason, at)
    remove_leftovers(folder / HELD, f"{batch}.json")
    write_json(_record(folder, batch), asdict(held))  # first: a moved file without its reason would be a riddle
    place.replace(held_path(folder, batch))
    return held


def take_back(folder: Path, batch: str, *, who: str, reason: str, at: str) -> HeldBatch:
    """Put a held delivery in use again, with who decided so and why; the next run believes it.

    Raises:
        BadInputError: it is not held, or who or reason is empty.
    """
    folder = Path(folder)
    if not held_path(folder, batch).exists():
        names = [held.batch for held in held_batches(folder) if not held.accepted_by]
        raise BadInputError(f"Domain '{folder.name}' holds no batch '{batch}'.", repair=did_you_mean(batch, names))
    if not who.strip() or not reason.strip():
        raise BadInputError("Without who and a reason nothing is taken back.", repair="Say it in a few words.")
    told = read_json(_record(folder, batch))
    held = HeldBatch(**{**told, "accepted_by": who.strip(), "accepted_at": at, "why_accepted": reason.strip()})
    write_json(_record(folder, batch), asdict(held))
    held_path(folder, batch).replace(batch_path(folder, batch))
    return held


def _record(folder: Path, batch: str) -> Path:
    return Path(folder) / HELD / f"{batch}.json"
