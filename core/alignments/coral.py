"""Deep CORAL: the covariances of the two domains' features are drawn together."""

from __future__ import annotations

from torch import Tensor

from core.alignments.base import ALIGNMENTS, Alignment, AlignmentViews


@ALIGNMENTS.register("coral")
class Coral(Alignment):
    """|C_S - C_T|_F^2 / (4 d^2), covariances with n - 1.

    Source: Sun & Saenko 2016, "Deep CORAL", equations 1 to 3.
    """

    def forward(self, views: AlignmentViews) -> Tensor:
        """The loss; at least two rows a domain."""
        difference = covariance(views.source_features) - covariance(views.target_features)
        return difference.pow(2).sum() / (4 * views.source_features.shape[1] ** 2)


def covariance(features: Tensor) -> Tensor:
    """(D, D) of (N, D) features, N > 1."""
    centred = features - features.mean(dim=0)
    return centred.T @ centred / (len(features) - 1)
