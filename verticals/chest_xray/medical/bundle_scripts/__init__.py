"""Code that travels inside the MONAI bundle: it must run where this project is not installed, so it imports none of it.

Needs: numpy, pillow, torch, monai, onnxruntime.
"""

from .fitting import FitPixelsd, as_eight_bits
from .network import OnnxNetwork

__all__ = ["FitPixelsd", "OnnxNetwork", "as_eight_bits"]
