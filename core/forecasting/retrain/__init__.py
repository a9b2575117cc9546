"""Retraining of verticals that forecast: is a delivery to be believed, do forecasts still hold, does a new fit help?"""
