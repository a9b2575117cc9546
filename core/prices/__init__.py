"""Daily prices as domains: import with its checks, reading, a made-up market, prediction.

For verticals that forecast.
"""
