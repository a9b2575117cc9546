"""Static int8 quantisation of an exported graph, calibrated on training pictures."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

NUM_CALIBRATION = 64
CALIBRATION_BATCH = 8


def write_int8(source: Path, target: Path, pixels: np.ndarray, *, num: int = NUM_CALIBRATION) -> None:
    """Convolutions in int8 by channel with ranges from at most `num` of the pictures; all else stays as it is.

    Shape: pixels (N, S, S, C) uint8, of training rows alone.
    Source: Jacob et al. 2018, "Quantization and training of neural networks for efficient integer-arithmetic-only
    inference", section 2.1 (affine map), post-training by ONNX Runtime.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    rows = np.linspace(0, len(pixels) - 1, min(num, len(pixels))).astype(int)
    with tempfile.TemporaryDirectory(prefix="crossdomain_int8_") as name:
        prepared = Path(name) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(target),
            _Reader(pixels[rows]),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


class _Reader:
    """Feeds the calibration, batch by batch."""

    def __init__(self, pixels: np.ndarray) -> None:
        self._batches = iter(np.array_split(pixels, max(1, len(pixels) // CALIBRATION_BATCH)))

    def get_next(self) -> dict[str, Any] | None:
        """The next batch by input name, None at the end."""
        batch = next(self._batches, None)
        return None if batch is None else {"pixels": np.ascontiguousarray(batch)}
