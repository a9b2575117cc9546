"""Files that claim to be the same picture: of equal ones the first stays, of contradicting ones none does."""

from __future__ import annotations

from pathlib import Path

from verticals.chest_xray.dicom.converting import Converted

Refused = tuple[str, str, Path | None]


def settle_repeats(converted: list[Converted], folder: Path) -> tuple[list[Converted], list[Refused], list[str]]:
    """(pictures that stay, (neutral name, reason, path) of the others, notes); PNGs without a row are deleted."""
    by_key: dict[str, list[Converted]] = {}
    for picture in converted:
        by_key.setdefault(picture.key, []).append(picture)
    kept, refused, num_dropped = [], [], 0
    for key, pictures in by_key.items():
        reason = _contradiction(pictures)
        if reason:
            refused += [(picture.name, reason, picture.path) for picture in pictures]
            (folder / f"{key}.png").unlink()
            continue
        stays = next((picture for picture in pictures if picture.row["label"]), pictures[0])
        kept.append(stays)
        others = [picture for picture in pictures if picture is not stays]
        refused += [(p.name, f"the same SOP instance with the same pixels as {stays.name}", p.path) for p in others]
        num_dropped += len(others)
    notes = [f"{num_dropped:,} repeats of a SOP instance with the same pixels were dropped."] if num_dropped else []
    return kept, refused, notes


def _contradiction(pictures: list[Converted]) -> str:
    """Why files of one SOP instance cannot all be right; empty where they can."""
    words = sorted({picture.row["label"] for picture in pictures} - {""})
    if len(words) > 1:
        return f"the same SOP instance is labelled {' and '.join(map(repr, words))}"
    if len({picture.digest for picture in pictures}) > 1:
        return "the same SOP instance UID stands for different pixels"
    if len({picture.row["patient"] for picture in pictures}) > 1:
        return "the same SOP instance UID stands for two patients"
    return ""
