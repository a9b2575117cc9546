"""Templates of a vertical that forecasts how far a daily series will move."""
