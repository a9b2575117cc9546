"""All forecasters; importing this package registers them."""

from core.forecasting.methods import (  # noqa: F401
    egarch,
    ewma,
    garch,
    gjr_garch,
    har,
    har_boosted,
    har_pooled,
    har_shrunk,
    last,
    network,
    network_fine_tuned,
    network_lp_ft,
    network_pooled,
    network_probe,
    network_source_only,
)
