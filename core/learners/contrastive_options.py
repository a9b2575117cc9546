"""What a user may set about contrastive pre-training. Apart from it, so that reading params needs no torch."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.learners.loop_options import LoopOptions
from core.params import STRICT


@dataclass(frozen=True, config=STRICT)
class ContrastiveOptions:
    """num_stages: how many stages move, the last of those that the learner reads. num_views: strong copies a picture.

    Two of the copies are drawn anew in each epoch; what the frozen stages make of them is computed once and kept.
    projection_dim: width of the space in which views are compared; it is thrown away afterwards. max_pictures: at most
    so many, half of them of each side where both have enough, so that a run on a processor ends.
    """

    num_stages: int = Field(default=2, ge=1)
    num_views: int = Field(default=4, ge=2, le=64)
    projection_dim: int = Field(default=64, ge=2)
    temperature: float = Field(default=0.2, gt=0.0)
    max_pictures: int = Field(default=1000, ge=2)
    training: LoopOptions = Field(
        default_factory=lambda: LoopOptions(
            epochs=4, batch_size=64, learning_rate=3e-4, schedule="cosine", patience=0, trackers=()
        )
    )
