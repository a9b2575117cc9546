"""A small student: the first stages of the teacher's network on a smaller picture, taught by the teacher's log-odds."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits

from core.backbones.image import ImageBackbone
from core.threads import num_threads

Score = Callable[[np.ndarray], np.ndarray]
SIDE_PX = 160
DEPTH = 5 / 9  # of the teacher's stages: five of EfficientNet-Lite0
NUM_READ_STAGES = 3
SMALLEST_VARIANCE = 1e-4  # the root has no slope at 0
LARGEST_LOGIT = 8.0
TEMPERATURE, TEACHER_SHARE = 2.0, 0.8
MAX_EPOCHS = 40
TRAIN_BATCH, SCORE_BATCH = 16, 32
BACKBONE_RATE, HEAD_RATE, DECAY = 3e-4, 3e-4, 1e-2
STRENGTHS = tuple(10.0**power for power in range(-1, 6))


class Student(nn.Module):
    """(N,) log-odds of (N, S, S, C) uint8 pixels, for the mean, deviation and maximum of the last maps it makes.

    A picture is first averaged over squares of a whole number of pixels, so that about SIDE_PX are left a side. Stages
    before the first one that is read keep the teacher's weights.
    """

    def __init__(self, backbone: ImageBackbone, size_px: int) -> None:
        super().__init__()
        depth = max(1, round(DEPTH * backbone.num_stages))
        self.read_stages = tuple(range(max(1, depth - NUM_READ_STAGES + 1), depth + 1))
        self.shrink_factor = max(1, round(size_px / SIDE_PX))
        copied = copy.deepcopy(backbone).eval().requires_grad_(True)
        # a list of stages, not the backbone: what lies beyond is neither kept nor trained
        self.steps = nn.ModuleList(copied.stages()[:depth]).to(memory_format=torch.channels_last)
        for early in self.steps[
            : self.read_stages[0] - 1
        ]:  # the largest maps: to learn there would cost twice the time
            early.requires_grad_(False)
        self.register_buffer("mean", copied.mean.clone())
        self.register_buffer("std", copied.std.clone())
        with torch.no_grad():
            size = max(1, size_px // self.shrink_factor)
            width = self.describe(torch.zeros(1, 1, size, size)).shape[1]
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.head = nn.Linear(width, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """As the class tells."""
        return self.logits(self.shrink(pixels))

    def shrink(self, pixels: Tensor) -> Tensor:
        """(N, C, s, s) float of (N, S, S, C) uint8; a rest of rows and columns at the end is left out."""
        planes = pixels.permute(0, 3, 1, 2).float()
        return planes if self.shrink_factor == 1 else avg_pool2d(planes, self.shrink_factor)

    def logits(self, planes: Tensor) -> Tensor:
        """(N,) of shrunk pictures."""
        return self.head((self.describe(planes) - self.centre) / self.scale)[:, 0]

    def describe(self, planes: Tensor) -> Tensor:
        """(N, P) statistics of shrunk pictures."""
        x = ((planes if planes.shape[1] == 3 else planes.repeat(1, 3, 1, 1)) - self.mean) / self.std
        found = []
        for number, step in enumerate(self.steps, start=1):
            x = step(x)
            if number in self.read_stages:
                area = x.flatten(2)
                mean = area.mean(dim=2)
                deviation = ((area - mean[:, :, None]).square().mean(dim=2) + SMALLEST_VARIANCE).sqrt()
                found += [mean, deviation, area.amax(dim=2)]
        return torch.cat(found, dim=1)


def make_student(backbone: ImageBackbone, size_px: int, *, seed: int) -> Student:
    """A student whose head is drawn from the seed; its stages are the backbone's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Student(backbone, size_px)


def distillation_loss(
    student_logits: Tensor, teacher_logits: Tensor, targets: Tensor, *, temperature: float, teacher_share: float
) -> Tensor:
    """share T^2 H(sigmoid(t / T), sigmoid(s / T)) + (1 - share) H(y, sigmoid(s)); H is the mean cross-entropy.

    Shape: all (N,); log-odds of class 1 of two classes, so that the softmax is a sigmoid.
    Source: Hinton, Vinyals & Dean 2015, "Distilling the knowledge in a neural network", eq. 1 and section 2 (both
    losses, the first times T^2).
    """
    soft = torch.sigmoid(teacher_logits / temperature)
    taught = binary_cross_entropy_with_logits(student_logits / temperature, soft)
    told = binary_cross_entropy_with_logits(student_logits, targets)
    return teacher_share * temperature**2 * taught + (1 - teacher_share) * told


def train_student(
    student: Student,
    pixels: np.ndarray,
    labels: np.ndarray,
    teacher: Score,
    *,
    seconds: float,
    seed: int,
    max_epochs: int = MAX_EPOCHS,
) -> dict[str, float]:
    """Train in place on the pictures and their mirror images, each with the teacher's own probability of it.

    First a ridge on the teacher's log-odds, then all weights that are not frozen by gradients until `seconds` (so it
    depends on the machine) or `max_epochs` are over; the rate falls as a cosine of what is used up. Batch norm keeps
    its statistics.

    Shape: pixels (N, S, S, C) uint8; labels (N,) 0, 1 or NaN for the teacher's probability, of training rows alone.
    """
    torch.set_num_threads(num_threads())
    variants = (pixels, np.ascontiguousarray(pixels[:, :, ::-1]))
    taught = torch.stack([_log_odds(teacher(variant)) for variant in variants]).float()
    planes = torch.stack([_shrunk(student, variant) for variant in variants])
    told = torch.as_tensor(np.asarray(labels, dtype=np.float32)).expand_as(taught)
    told = torch.where(told.isnan(), torch.sigmoid(taught), told)
    _start_head(student, planes[0], taught[0])
    generator = np.random.default_rng(seed)
    heads = list(student.head.parameters())
    rates = [([p for p in student.steps.parameters() if p.requires_grad], BACKBONE_RATE), (heads, HEAD_RATE)]
    groups = [{"params": weights, "lr": rate, "first_rate": rate} for weights, rate in rates]
    optimizer = torch.optim.AdamW(groups, weight_decay=DECAY)
    started, num_batches, step = time.monotonic(), math.ceil(len(pixels) / TRAIN_BATCH), 0
    while (used := _used(step, num_batches * max_epochs, started, seconds)) < 1:
        if step % num_batches == 0:
            order = generator.permutation(len(pixels))
        rows = order[step % num_batches * TRAIN_BATCH :][:TRAIN_BATCH]
        variant = torch.as_tensor(generator.integers(0, len(variants), len(rows)))
        for group in optimizer.param_groups:
            group["lr"] = group["first_rate"] * 0.5 * (1 + math.cos(math.pi * used))
        loss = distillation_loss(
            student.logits(planes[variant, rows]),
            taught[variant, rows],
            told[variant, rows],
            temperature=TEMPERATURE,
            teacher_share=TEACHER_SHARE,
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
    return {"epochs": round(step / num_batches, 2), "seconds": round(time.monotonic() - started, 1)}


@torch.no_grad()
def _start_head(student: Student, planes: Tensor, teacher_logits: Tensor) -> None:
    """Scale of the descriptors, and the head by ridge regression with the strength of least generalised error.

    Source: Golub, Heath & Wahba 1979, "Generalized cross-validation as a method for choosing a good ridge parameter",
    eq. 1.4.
    """
    described = torch.cat([student.describe(part) for part in planes.split(SCORE_BATCH)])
    student.centre.copy_(described.mean(dim=0))
    student.scale.copy_(described.std(dim=0, correction=0).clamp(min=1e-3))
    design = ((described - student.centre) / student.scale).double()
    level = teacher_logits.double().mean()
    left, sizes, right = torch.linalg.svd(design, full_matrices=False)
    seen = left.T @ (teacher_logits.double() - level)
    best = None
    for strength in STRENGTHS:
        shares = sizes.square() / (sizes.square() + strength)
        residual = (teacher_logits.double() - level - left @ (shares * seen)).square().mean()
        error = float(residual / (1 - shares.sum() / len(design)).square())
        if best is None or error < best[0]:
            best = (error, right.T @ (sizes / (sizes.square() + strength) * seen))
    student.head.weight.copy_(best[1][None].float())
    student.head.bias.fill_(float(level))


@torch.no_grad()
def _shrunk(student: Student, pixels: np.ndarray) -> Tensor:
    parts = [pixels[start : start + SCORE_BATCH] for start in range(0, len(pixels), SCORE_BATCH)]
    return torch.cat([student.shrink(torch.from_numpy(np.ascontiguousarray(part))) for part in parts])


def _log_odds(probability: np.ndarray) -> Tensor:
    """Of probabilities that may be rounded to 0 or 1."""
    return torch.logit(torch.as_tensor(probability).double().clamp(1e-12, 1 - 1e-12)).clamp(
        -LARGEST_LOGIT, LARGEST_LOGIT
    )


def _used(step: int, max_steps: int, started: float, seconds: float) -> float:
    """Share of the steps or of the time that is over, the larger."""
    return max(step / max_steps, (time.monotonic() - started) / seconds)
