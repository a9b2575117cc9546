"""All transfers of regression; importing this package registers them. To register one is to be tested."""

from core.regression.transfers import (  # noqa: F401
    auto,
    importance_weighting,
    pooled,
    source_offset,
    source_only,
    target_only,
)
