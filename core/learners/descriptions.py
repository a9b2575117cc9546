"""What a learner of pictures sees of them, as rows of numbers: its own descriptors, or those of a learner inside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from core.data.samples import Samples
from core.images.image import images_of, stack_pixels

Describe = Callable[[Samples], np.ndarray]
DESCRIBING = ("descriptors", "describe")  # what a learner may call it
WRAPPED = ("inner_", "describer_")  # where a learner keeps the one that it wraps


def describer_of(learner: Any) -> Describe | None:
    """A function of samples to (N, P) numbers, or None where neither the learner nor one in it gives any.

    Of a network without descriptors it is the pooled features of its backbone as trained; of a blend, its first part
    that has some.
    """
    for name in DESCRIBING:
        if callable(getattr(learner, name, None)):
            return getattr(learner, name)
    backbone = getattr(getattr(learner, "model_", None), "backbone", None)
    if callable(getattr(backbone, "features", None)):
        return lambda samples: np.asarray(backbone.features(stack_pixels(images_of(samples))))
    inner = [getattr(learner, name) for name in WRAPPED if hasattr(learner, name)]
    found = (describer_of(part) for part in [*inner, *getattr(learner, "parts_", [])])
    return next((describe for describe in found if describe is not None), None)
