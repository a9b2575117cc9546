"""Example pictures of a run: the surest hits, the escapes, the false rejects, the doubtful ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image as PillowImage

from core.images.image import images_of
from core.stages.evaluate import EvaluationFacts

# In the order in which they are shown.
GROUPS = ("hit", "escape", "false reject", "doubtful")
GAP_PX = 4


def choose_examples(facts: EvaluationFacts, abstains: np.ndarray, num: int) -> list[tuple[str, int]]:
    """At most `num` (group, test row), as evenly over the groups as they have rows; no row twice.

    hit: the surest positives found. escape: positives called negative, the worst first. false reject: negatives called
    positive, the worst first. doubtful: where the model abstains, else nearest to the threshold.
    """
    index, threshold = facts.vertical.positive_index, facts.model.threshold
    score, is_positive = facts.probability[:, index], facts.test.targets == index
    is_called, order = score >= threshold, np.argsort(score, kind="stable")
    doubt = np.argsort(np.abs(score - threshold) + ~abstains, kind="stable")
    queues = {
        "hit": [row for row in order[::-1] if is_positive[row] and is_called[row] and not abstains[row]],
        "escape": [row for row in order if is_positive[row] and not is_called[row]],
        "false reject": [row for row in order[::-1] if not is_positive[row] and is_called[row]],
        "doubtful": list(doubt),
    }
    chosen: dict[int, str] = {}
    while len(chosen) < num and any(queues.values()):
        for group in GROUPS:
            while queues[group] and queues[group][0] in chosen:
                queues[group].pop(0)
            if queues[group] and len(chosen) < num:
                chosen[int(queues[group].pop(0))] = group
    return sorted(((group, row) for row, group in chosen.items()), key=lambda found: GROUPS.index(found[0]))


def write_examples(facts: EvaluationFacts, examples: list[tuple[str, int]], level: float, folder: Path) -> pd.DataFrame:
    """One PNG each (the picture, the same under its heat map, its mask where one was drawn), and their table."""
    from core.explain.heat_maps import heat_maps, overlay

    folder.mkdir(parents=True, exist_ok=True)
    chosen = facts.test.take([row for _, row in examples])
    maps = heat_maps(facts.model.learner, chosen)
    masks = facts.read_masks(list(chosen.sample_ids))
    rows = []
    for place, (group, row) in enumerate(examples):
        pixels = np.asarray(images_of(chosen)[place].pixels)
        mask = masks.get(chosen.sample_ids[place])
        panels = [np.broadcast_to(pixels, (*pixels.shape[:2], 3)), overlay(pixels, maps[place], level)]
        if mask is not None and mask.any():
            panels.append(np.repeat(mask[:, :, None] * np.uint8(255), 3, axis=2))
        file = f"{place:02d}_{group.replace(' ', '_')}.png"
        PillowImage.fromarray(_side_by_side(panels)).save(folder / file)
        rows.append(
            {
                "file": f"examples/{file}",
                "group": group,
                "sample_id": chosen.sample_ids[place],
                "kind": str(chosen.kinds[place]),
                "is_positive": bool(chosen.targets[place] == facts.vertical.positive_index),
                "probability": float(facts.probability[row, facts.vertical.positive_index]),
                "area": float((maps[place] >= level).mean()),
            }
        )
    return pd.DataFrame(rows, columns=["file", "group", "sample_id", "kind", "is_positive", "probability", "area"])


def _side_by_side(panels: list[np.ndarray]) -> np.ndarray:
    """(S, n * S + gaps, 3) uint8 with white gaps."""
    gap = np.full((panels[0].shape[0], GAP_PX, 3), 255, dtype=np.uint8)
    parts = [part for panel in panels for part in (panel, gap)][:-1]
    return np.ascontiguousarray(np.concatenate(parts, axis=1))
