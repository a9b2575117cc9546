"""How a backbone runs fastest on this processor without telling another story: measured once, then remembered."""

from __future__ import annotations

import contextlib
import functools
import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from core.artifacts import read_json, write_json
from core.backbones.fused import fused_copy
from core.backbones.image import ImageBackbone
from core.data.feature_cache import cache_root
from core.threads import num_threads

Precision = Literal["fp32", "channels_last", "fused", "bf16"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "channels_last", "fused", "bf16")
# Of maps after any stage, root of mean squares against fp32. EfficientNet-Lite0 in bf16 is at 0.05 to 0.12: heads that
# learned from it would meet other numbers in fp32 or ONNX, so it is used only where it is told.
MAX_RELATIVE_DIFFERENCE = 0.03
MIN_GAIN = 1.05  # a faster way must be so many times as fast, or the plain one stays
PIXELS_A_BATCH = 32 * 128 * 128
MAX_BATCH_SIZE = 64
MEASURED_BATCH_SIZE = 4
NUM_MEASURED = 2
PROGRESS_SECONDS = 10.0
FILE = "engines.json"
_chosen: dict[str, Precision] = {}


class Engine:
    """Runs a frozen backbone in batches, in evaluation mode and without gradients.

    precision: `fp32`; `channels_last`, fp32 in another memory layout; `fused`, that with batch norms folded into the
    convolutions (plain channels last where a model has none to fold); `bf16`, channels last in 16 bits, slow where the
    processor has none. The backbone's memory layout is changed in place; its values are not.
    """

    def __init__(self, backbone: ImageBackbone, precision: Precision = "fp32") -> None:
        self.backbone, self.precision = backbone, precision
        self._runner = (fused_copy(backbone) if precision == "fused" else None) or backbone

    def batch_size(self, size_px: int) -> int:
        """Pictures at once: many small ones or a few large ones."""
        return max(1, min(MAX_BATCH_SIZE, PIXELS_A_BATCH // size_px**2))

    def maps(
        self, pixels: np.ndarray | Tensor, after: Sequence[int], *, say: Callable[[str], None] | None = None
    ) -> list[Tensor]:
        """(N, C, h, w) float32 after each of those numbers of stages, of (N, S, S, C) uint8 pixels."""
        parts = [maps for _, maps in self.map_batches(pixels, after, say=say)]
        return [torch.cat(of_stage) for of_stage in zip(*parts, strict=True)]

    def map_batches(
        self, pixels: np.ndarray | Tensor, after: Sequence[int], *, say: Callable[[str], None] | None = None
    ) -> Iterator[tuple[slice, list[Tensor]]]:
        """(rows, their maps), a batch after another; `say` gets a line about every ten seconds."""
        return self._batches(pixels, lambda x: self._runner.maps(x, after), say)

    def features(self, pixels: np.ndarray | Tensor, *, say: Callable[[str], None] | None = None) -> np.ndarray:
        """(N, feature_dim) float32 pooled features."""
        found = [maps[0].numpy() for _, maps in self._batches(pixels, lambda x: [self._runner(x)], say)]
        return np.concatenate(found) if found else np.zeros((0, self.backbone.feature_dim), dtype=np.float32)

    def _batches(
        self, pixels: np.ndarray | Tensor, compute: Callable[[Tensor], list[Tensor]], say: Callable[[str], None] | None
    ) -> Iterator[tuple[slice, list[Tensor]]]:
        """What `compute` gives of each normalised batch."""
        torch.set_num_threads(num_threads())
        layout = torch.contiguous_format if self.precision == "fp32" else torch.channels_last
        self._runner.to(memory_format=layout)
        was_training = self._runner.training
        self._runner.eval()
        progress = Progress(len(pixels), say)
        size = self.batch_size(pixels.shape[1])
        try:
            for start in range(0, len(pixels), size):
                rows = slice(start, min(start + size, len(pixels)))
                with torch.inference_mode(), self._arithmetic():
                    x = self._runner.normalise(pixels[rows]).contiguous(memory_format=layout)
                    found = [maps.float().cpu() for maps in compute(x)]
                yield rows, found
                progress.tell(rows.stop)
        finally:
            self._runner.train(was_training)

    def _arithmetic(self) -> contextlib.AbstractContextManager:
        """bf16 where it was chosen."""
        if self.precision == "bf16":
            return torch.autocast(self.backbone.mean.device.type, dtype=torch.bfloat16)
        return contextlib.nullcontext()


class Progress:
    """A line about every ten seconds, none for work that is shorter."""

    def __init__(self, total: int, say: Callable[[str], None] | None, *, what: str = "pictures") -> None:
        self.total, self.say, self.what = total, say, what
        self.started = self.told = time.monotonic()

    def tell(self, done: int) -> None:
        """`done` of `total` are through."""
        now = time.monotonic()
        if self.say is None or now - self.told < PROGRESS_SECONDS or not done:
            return
        self.told = now
        left = (now - self.started) / done * (self.total - done)
        self.say(f"{done:,} of {self.total:,} {self.what} encoded, about {left:.0f} s left")


def choose_engine(backbone: ImageBackbone, size_px: int, *, precision: Precision | Literal["auto"] = "auto") -> Engine:
    """The engine of a told precision, or (`auto`) of the fastest whose maps are near those of plain fp32.

    The check takes a second or two and is remembered in the process and on disk, by torch, processor, threads,
    backbone and size. Should it fail, plain fp32 is used.
    """
    if precision != "auto":
        return Engine(backbone, precision)
    key = _key(backbone, size_px)
    if key not in _chosen:
        _chosen[key] = _remembered(key) or _measure_and_remember(backbone, size_px, key)
    return Engine(backbone, _chosen[key])


@functools.lru_cache(maxsize=1)
def has_bf16() -> bool:
    """Whether this processor computes in bf16."""
    try:
        return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):
        return False


def relative_difference(maps: Sequence[Tensor], reference: Sequence[Tensor]) -> float:
    """The largest of |maps - reference| / |reference| over the stages, both as roots of sums of squares."""
    return max(
        float((found - expected).norm() / expected.norm().clamp(min=1e-12))
        for found, expected in zip(maps, reference, strict=True)
    )


def measure(backbone: ImageBackbone, size_px: int) -> Precision:
    """The fastest way to run all stages on a few random pictures, of those that stay near fp32."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(40, 216, (MEASURED_BATCH_SIZE, size_px // 8 + 1, size_px // 8 + 1, 1))
    pixels = coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :size_px, :size_px]
    pixels = (pixels + generator.integers(-20, 21, pixels.shape)).astype(np.uint8)
    after = range(1, backbone.num_stages + 1)
    reference, seconds = None, {}
    for precision in PRECISIONS:
        if precision == "bf16" and not has_bf16():
            continue
        engine = Engine(backbone, precision)
        maps = engine.maps(pixels, after)  # not timed: the first pass prepares memory
        reference = reference or maps
        if not relative_difference(maps, reference) <= MAX_RELATIVE_DIFFERENCE:
            continue
        seconds[precision] = min(_seconds(engine, pixels, after[-1:]) for _ in range(NUM_MEASURED))
    fastest = min(seconds, key=seconds.get)
    return fastest if seconds["fp32"] >= MIN_GAIN * seconds[fastest] else "fp32"


def _seconds(engine: Engine, pixels: np.ndarray, after: Sequence[int]) -> float:
    started = time.perf_counter()
    engine.maps(pixels, after)
    return time.perf_counter() - started


def _measure_and_remember(backbone: ImageBackbone, size_px: int, key: str) -> Precision:
    """The measured choice; a cache folder that cannot be written costs time, not the run."""
    try:
        found = measure(backbone, size_px)
    except (RuntimeError, NotImplementedError):  # an operator that has no bf16 or no such layout
        return "fp32"
    with contextlib.suppress(OSError, ValueError):
        write_json(_path(), {**_file(), key: found})
    return found


def _remembered(key: str) -> Precision | None:
    """The choice of an earlier process."""
    found = _file().get(key)
    return found if found in PRECISIONS else None


def _file() -> dict[str, str]:
    try:
        found = read_json(_path())
    except (OSError, json.JSONDecodeError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _path() -> Path:
    return cache_root() / FILE


def _key(backbone: ImageBackbone, size_px: int) -> str:
    """All that decides which way is the fastest."""
    parts = (torch.__version__, _processor(), num_threads(), backbone.mean.device.type)
    return " | ".join(map(str, (*parts, backbone.model_name, backbone.weights_id[:16], size_px)))


@functools.lru_cache(maxsize=1)
def _processor() -> str:
    """Its name as far as the system tells it, and the instructions that torch uses."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        told = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        name = told[0] if told else name
    return f"{name} {torch.backends.cpu.get_cpu_capability()}"
