"""What a user may set about the training of an image model. Apart from it, so that reading params needs no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.params import STRICT


@dataclass(frozen=True, config=STRICT)
class JitterOptions:
    """brightness: largest shift as a fraction of the range 0..255. contrast: largest change of the factor 1.

    erased_probability: of a picture to lose a rectangle; erased_fraction: largest share of its area.
    """

    brightness: float = Field(default=0.1, ge=0.0, lt=1.0)
    contrast: float = Field(default=0.2, ge=0.0, lt=1.0)
    erased_probability: float = Field(default=0.0, ge=0.0, le=1.0)
    erased_fraction: float = Field(default=0.1, gt=0.0, le=0.5)


@dataclass(frozen=True, config=STRICT)
class TuningRecipe:
    """loss: `focal` gives hard rows more weight, the more so with a high focal_gamma.

    class_balance: `weights` makes the classes weigh the same, `batches` fills each batch with as many of each; the
    training rows' log-odds are given back afterwards, so that probabilities stay those of the rows as they are.
    mixup_alpha: 0 = no mixing; 0.2 a little; 1 any share.
    adversarial_epsilon: above 0 every batch is changed by up to so much of the grey range, against the model, before it
    is learned; 2/255 = 0.008 is little. It costs twice the time and needs pixels, so that nothing is kept of frozen
    stages while training.
    """

    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    focal_gamma: float = Field(default=2.0, ge=0.0)
    class_balance: Literal["none", "weights", "batches"] = "none"
    mixup_alpha: float = Field(default=0.0, ge=0.0)
    adversarial_epsilon: float = Field(default=0.0, ge=0.0, lt=1.0)
