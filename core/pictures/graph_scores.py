"""Probabilities by PyTorch and by ONNX Runtime from the same pixels, and how long each takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from core.threads import num_threads

Score = Callable[[np.ndarray], np.ndarray]
BATCH_SIZE = 16
NUM_SINGLE = 30


def latency(scores: dict[str, Score], pixels: np.ndarray) -> dict[str, float]:
    """Milliseconds for one picture (p50, p95) and pictures a second, the ways in turn so that load hits all alike."""
    single: dict[str, list[float]] = {name: [] for name in scores}
    batch: dict[str, list[float]] = {name: [] for name in scores}
    for score in scores.values():
        score(pixels[:BATCH_SIZE])
    for turn in range(NUM_SINGLE):
        one = pixels[turn % len(pixels)][None]
        for name, score in scores.items():
            single[name].append(_seconds(score, one))
    for _ in range(3):
        for name, score in scores.items():
            batch[name].append(_seconds(score, pixels) / len(pixels))
    result = {}
    for name in scores:
        result[f"{name}_p50_milliseconds"] = round(1000 * float(np.quantile(single[name], 0.5)), 3)
        result[f"{name}_p95_milliseconds"] = round(1000 * float(np.quantile(single[name], 0.95)), 3)
        result[f"{name}_pictures_a_second"] = round(1 / min(batch[name]), 2)
    return result


def eager_score(module: Any) -> Score:
    """Probabilities by PyTorch eager in fp32."""
    import torch

    torch.set_num_threads(num_threads())

    def score(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            parts = [module(torch.from_numpy(part)).numpy() for part in _batches(pixels)]
        return np.concatenate(parts).astype(float)

    return score


def session_score(path: Path) -> Score:
    """Probabilities by ONNX Runtime on the processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def score(pixels: np.ndarray) -> np.ndarray:
        parts = [session.run(None, {session.get_inputs()[0].name: part})[0] for part in _batches(pixels)]
        return np.concatenate(parts).astype(float)

    return score


def _batches(pixels: np.ndarray) -> list[np.ndarray]:
    return [np.ascontiguousarray(pixels[start : start + BATCH_SIZE]) for start in range(0, len(pixels), BATCH_SIZE)]


def _seconds(score: Score, pixels: np.ndarray) -> float:
    started = time.perf_counter()
    score(pixels)
    return time.perf_counter() - started
