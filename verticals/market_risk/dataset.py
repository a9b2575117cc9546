"""Markets: the core's daily prices, for domains that say they are market risk."""

from functools import partial

from core.prices.market import read_market as read_prices

read_market = partial(read_prices, vertical="market_risk")
