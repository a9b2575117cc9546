"""What differs between two nested dictionaries, value by value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class _NotSet:
    """Says that a key is not there, which is something else than null."""

    def __repr__(self) -> str:
        return "(not set)"


NOT_SET = _NotSet()


@dataclass(frozen=True)
class Change:
    """path: dotted. before, after: the values; NOT_SET where the key is not there."""

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.path}: {_shown(self.before)} -> {_shown(self.after)}"


def changes_between(before: Mapping[str, Any], after: Mapping[str, Any], *, within: str = "") -> list[Change]:
    """Every leaf that differs, in the order of its first appearance; lists are leaves."""
    changes: list[Change] = []
    for key in dict.fromkeys([*before, *after]):
        path = f"{within}.{key}" if within else str(key)
        old, new = before.get(key, NOT_SET), after.get(key, NOT_SET)
        sides = [side for side in (old, new) if side is not NOT_SET]
        if all(isinstance(side, Mapping) for side in sides) and any(sides):
            old, new = ({} if side is NOT_SET else side for side in (old, new))
            changes += changes_between(old, new, within=path)
        elif old is NOT_SET or new is NOT_SET or old != new:
            changes.append(Change(path, old, new))
    return changes


def _shown(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
