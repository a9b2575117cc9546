"""Where the evidence of a descriptor head lies: the log-odds' gradient by each cell of the maps it was pooled from."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn.functional import interpolate

from core.data.samples import Samples
from core.images.image import images_of, stack_pixels

BATCH_SIZE = 8
REGION_FRACTION = 1 / 64  # of the picture: a region of so much is what the evidence is told for
SMOOTHING_FRACTION = 1 / 40  # of the side; single cells of many channels are noise
NUM_PATH_STEPS = 8
ROOT_FLOOR = 1e-2  # below it the square root is taken as straight: its slope at zero is infinite


def descriptor_activation(
    learner: Any, samples: Samples, *, smoothing_fraction: float = SMOOTHING_FRACTION
) -> np.ndarray:
    """(N, S, S) float32 >= 0: evidence for class 1 in log-odds, that of a region of 1/64 of the picture like this one.

    learner: a fitted image_probe. Sum over stages of sum_k (A_k - mean A_k) dz / dA_k on the picture's side, A a
    stage's map, z the head's log-odds as a straight line with the slopes of `path_slopes`; smoothed, and evidence
    against the class cut off at zero, last, so that stages and neighbours may contradict each other.

    Source: Draelos & Carin 2020, "Use HiResCAM instead of Grad-CAM", equation 5, for pooled statistics of several maps.
    """
    from core.learners.image_descriptors import channels_after

    options, backbone = learner.options, learner.backbone_
    slopes = torch.from_numpy(np.asarray(path_slopes(learner, samples), dtype=np.float32))
    sizes = [len(options.statistics) * channels for channels in channels_after(backbone, options.stages)]
    images, found = images_of(samples), []
    for start in range(0, len(images), BATCH_SIZE):
        pixels = stack_pixels(images[start : start + BATCH_SIZE])
        with torch.no_grad():
            maps = backbone.maps(backbone.normalise(pixels), options.stages)
        parts = slopes[start : start + BATCH_SIZE].split(sizes, dim=1)
        heat = [_of_stage(of_stage, part, options, pixels.shape[1]) for of_stage, part in zip(maps, parts, strict=True)]
        signed = torch.stack(heat).sum(dim=0).numpy() * REGION_FRACTION
        found.append(np.maximum(smooth(signed, smoothing_fraction * pixels.shape[1]), 0.0).astype(np.float32))
    return np.concatenate(found) if found else np.zeros((0, 1, 1), dtype=np.float32)


def smooth(evidence: np.ndarray, sigma_px: float) -> np.ndarray:
    """(N, S, S) by a Gaussian; beyond the picture there is no evidence. Mirrored there, a corner's would count four
    times, and zero padding makes corners of maps odd often enough."""
    return gaussian_filter(evidence, (0, sigma_px, sigma_px), mode="constant")


def path_slopes(learner: Any, samples: Samples) -> np.ndarray:
    """(N, P) mean slope of the log-odds on the straight way from the training rows' mean descriptor to each row's own.

    Far from every training row a kernel is flat, so a sure picture has no slope at its own descriptor; on the way it
    has. Slopes times differences sum to the difference of the log-odds. A straight head has the same slopes everywhere.

    Source: Sundararajan, Taly & Yan 2017, "Axiomatic attribution for deep networks", equations 1 and 3, by midpoints.
    """
    if learner.options.head != "rbf":
        return learner.descriptor_slopes(samples)
    mapped, rows = learner.map_, learner.describe(samples).astype(float)
    start = mapped.arrays["centre"]
    parts = [
        mapped.slopes(start + (step + 0.5) / NUM_PATH_STEPS * (rows - start), samples.groups, learner.coefficients_)
        for step in range(NUM_PATH_STEPS)
    ]
    return np.mean(parts, axis=0)


def _of_stage(maps: Tensor, slopes: Tensor, options: Any, size_px: int) -> Tensor:
    """(N, S, S) of one stage's maps (N, C, h, w) and the log-odds' slopes by its statistics (N, P)."""
    from core.learners.image_descriptors import pooled_statistics

    cells = maps.detach().flatten(2).clone().requires_grad_(True)
    with torch.enable_grad():
        pooled = pooled_statistics(cells, options.statistics, top_fraction=options.top_fraction)
        if options.use_signed_root:
            size = pooled.abs().clamp(min=ROOT_FLOOR)
            pooled = torch.where(pooled.abs() > ROOT_FLOOR, pooled.sign() * size.sqrt(), pooled / ROOT_FLOOR**0.5)
        (gradients,) = torch.autograd.grad((pooled * slopes).sum(), cells)
    cells = cells.detach()
    evidence = ((cells - cells.mean(dim=2, keepdim=True)) * torch.nan_to_num(gradients)).sum(dim=1)
    heat = evidence.unflatten(1, maps.shape[-2:]) * cells.shape[2]
    return interpolate(heat[:, None], size=(size_px, size_px), mode="bilinear", align_corners=False)[:, 0]
