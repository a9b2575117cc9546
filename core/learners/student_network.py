"""The student of `student_teacher`: a few convolutions, their training, and how far they are from the teacher."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from core.threads import num_threads

Comparison = Literal["squared", "unit"]
MOST_DOUBLINGS = 2
NORM_GROUPS = 4


class StudentNetwork(nn.Module):
    """Maps of each told number of channels, after so many halvings of the picture's side."""

    def __init__(self, channels: Sequence[int], halvings: Sequence[int], *, width: int) -> None:
        super().__init__()
        widths = [3] + [width * 2 ** min(level, MOST_DOUBLINGS) for level in range(max(halvings))]
        self.levels = nn.ModuleList(
            _level(before, after, num_groups=NORM_GROUPS if width % NORM_GROUPS == 0 else 1)
            for before, after in pairwise(widths)
        )
        self.heads = nn.ModuleList(
            nn.Conv2d(widths[halved], count, 1) for count, halved in zip(channels, halvings, strict=True)
        )
        self.halvings = tuple(halvings)

    def forward(self, x: Tensor) -> list[Tensor]:
        """List of (N, C, h, w), in the order told."""
        after = []
        for level in self.levels:
            x = level(x)
            after.append(x)
        return [head(after[halved - 1]) for head, halved in zip(self.heads, self.halvings, strict=True)]


def _level(before: int, after: int, *, num_groups: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=2, padding=1),
        nn.GroupNorm(num_groups, after),
        nn.ReLU(),
        nn.Conv2d(after, after, 3, padding=1),
        nn.ReLU(),
    )


def make_student(channels: Sequence[int], halvings: Sequence[int], *, width: int, seed: int) -> StudentNetwork:
    """A student with weights drawn from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return StudentNetwork(channels, halvings, width=width)


def train_student(
    student: StudentNetwork,
    normalise: Callable[[np.ndarray], Tensor],
    pixels: np.ndarray,
    targets: Sequence[np.ndarray],
    *,
    comparison: Comparison,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> None:
    """Train in place on pixels (N, S, S, C) and the teacher's maps (N, C, h, w); the rate falls as a cosine."""
    torch.set_num_threads(num_threads())
    generator = np.random.default_rng(seed)
    optimizer = torch.optim.Adam(student.parameters(), lr=learning_rate)
    steps = epochs * int(np.ceil(len(pixels) / batch_size))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        order = generator.permutation(len(pixels))
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            teacher = [torch.as_tensor(maps[rows]) for maps in targets]
            loss = sum(one.mean() for one in stage_discrepancies(teacher, student(normalise(pixels[rows])), comparison))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def stage_discrepancies(teacher: Sequence[Tensor], student: Sequence[Tensor], comparison: Comparison) -> list[Tensor]:
    """(N, h, w) of each stage, over its C channels.

    squared: |t - s|^2 / C. unit: |t / |t| - s / |s||^2 / 2, 0 to 2.

    Source: squared, Bergmann et al. 2020, "Uninformed students", eq. 3; unit, Wang et al. 2021, "Student-teacher
    feature pyramid matching", eq. 1.
    """
    found = []
    for told, learned in zip(teacher, student, strict=True):
        if learned.shape[-2:] != told.shape[-2:]:
            learned = interpolate(learned, size=told.shape[-2:], mode="bilinear", align_corners=False)
        if comparison == "unit":
            found.append(0.5 * (normalize(told, dim=1) - normalize(learned, dim=1)).square().sum(dim=1))
        else:
            found.append((told - learned).square().mean(dim=1))
    return found


def discrepancy(teacher: Sequence[Tensor], student: Sequence[Tensor], comparison: Comparison) -> Tensor:
    """(N, h, w): the stages' discrepancies, scaled up to the largest of them; squared: their sum, unit: their product.

    Source: Bergmann et al. 2020, eq. 7 without the division by held-out statistics; Wang et al. 2021, eq. 4.
    """
    stages = stage_discrepancies(teacher, student, comparison)
    size = max((tuple(one.shape[-2:]) for one in stages), key=lambda shape: shape[0] * shape[1])
    even = [interpolate(one[:, None], size=size, mode="bilinear", align_corners=False)[:, 0] for one in stages]
    joined = torch.stack(even)
    return joined.prod(dim=0) if comparison == "unit" else joined.sum(dim=0)
