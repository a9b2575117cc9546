"""The exported graph as a torch module, so that MONAI's inferers and evaluators run it as any network."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import torch
from torch import Tensor, nn


class OnnxNetwork(nn.Module):
    """(N, 1) calibrated probability of the positive class for (N, C, S, S) pixels of 0..255, by ONNX Runtime.

    The graph holds all of the scoring path: views, normalisation, network, head and calibration. It runs on the
    processor; no gradients.
    """

    def __init__(self, path: str, num_threads: int = 0) -> None:
        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads
        self.path = Path(path)
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def forward(self, pixels: Tensor) -> Tensor:
        """Probability; what is no whole number is rounded to the grey level that a file would hold."""
        levels = torch.as_tensor(pixels).detach().cpu().round().clamp(0, 255).to(torch.uint8)
        levels = levels.permute(0, 2, 3, 1).contiguous().numpy()
        (probability,) = self.session.run(None, {self.session.get_inputs()[0].name: levels})
        return torch.as_tensor(probability, dtype=torch.float32, device=pixels.device).reshape(-1, 1)
