"""The sequence network as an ONNX graph: windows in, variances of the next days out."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.forecasting.network_forecaster import NetworkForecaster
from core.forecasting.network_training import tensors_of
from core.forecasting.windows import Windows

OPSET = 17
INPUTS, OUTPUT = ("days", "statics", "base"), "variance_in_scales"


class MeanNetwork(nn.Module):
    """The geometric mean of the members, in multiples of the scale."""

    def __init__(self, forecaster: NetworkForecaster) -> None:
        super().__init__()
        self.members = nn.ModuleList(forecaster.networks_)

    def forward(self, days: Tensor, statics: Tensor, base: Tensor) -> Tensor:
        """(N, H)."""
        logs = torch.stack([member(days, statics, base) for member in self.members])
        return torch.exp(logs.mean(dim=0))


def write_network(forecaster: NetworkForecaster, rows: Windows, path: Path) -> None:
    """Write the graph, any number of rows a call; `rows` serves as the example."""
    example = tuple(tensors_of(rows.take(np.arange(2))))[:3]
    axes = {name: {0: "rows"} for name in (*INPUTS, OUTPUT)}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer: sizes are constants here, and are meant to be
        torch.onnx.export(
            MeanNetwork(forecaster).eval(),
            example,
            str(path),
            input_names=list(INPUTS),
            output_names=[OUTPUT],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )


def run_network(path: Path, rows: Windows) -> tuple[np.ndarray, float]:
    """(variances (N, H) in percent^2, milliseconds for one row, the median of 30)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(some: Windows) -> np.ndarray:
        feed: dict[str, Any] = dict(zip(INPUTS, (t.numpy() for t in tensors_of(some)), strict=False))
        return session.run([OUTPUT], feed)[0].astype(float)

    one, times = rows.take(np.arange(1)), []
    for _ in range(30):
        started = time.perf_counter()
        run(one)
        times.append(time.perf_counter() - started)
    return run(rows) * rows.scale[:, None], 1000.0 * float(np.median(times))
