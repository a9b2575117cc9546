"""Import of a market's own prices or returns: the core's."""

from functools import partial

from core.prices.importing import import_market

import_domain = partial(import_market, vertical="market_risk")
