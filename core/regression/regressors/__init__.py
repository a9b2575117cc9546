"""All regressors; importing this package registers them. To register one is to be tested."""

from core.regression.regressors import (  # noqa: F401
    boosted_trees,
    domain_tagged,
    median,
    ridge,
    source_offset,
)
