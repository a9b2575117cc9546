"""Market risk: how far will a market move? Volatility and tail risk, from one market to another."""

from core.forecasting.params import SeriesParams
from core.vertical import Vertical, later
from verticals.market_risk.dataset import read_market
from verticals.market_risk.domains import DEMO_DOMAINS, fetch
from verticals.market_risk.importing import import_domain
from verticals.market_risk.options import MarketRiskOptions
from verticals.market_risk.protocols import PROTOCOLS

VERTICAL = Vertical(
    name="market_risk",
    title="Market risk",
    task="regression",
    modality="timeseries",
    metrics=("qlike", "squared_error", "absolute_error"),
    source_domains=("sp500", "dow_jones", "wti", "dax", "ftse"),
    target_domain="nasdaq",
    demo_domains=DEMO_DOMAINS,
    read_domain=read_market,
    fetch=fetch,
    import_domain=import_domain,
    options_type=MarketRiskOptions,
    params_type=SeriesParams,
    predict=later("core.prices.predicting", "predict_prices"),
    protocols=PROTOCOLS,
)
