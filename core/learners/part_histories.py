"""The learning curve of a learner that is made of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.learners.base import Learner


def part_histories(parts: Mapping[str, Learner]) -> list[dict[str, Any]]:
    """The rows of the parts that keep a `history_`, one part below the other; column `part` tells whose a row is.

    Parts of parts are told as `outer/inner`. A loaded learner may have no history left.
    """
    rows = []
    for name, part in parts.items():
        for row in getattr(part, "history_", None) or []:
            rows.append({**row, "part": f"{name}/{row['part']}" if row.get("part") else name})
    return rows
