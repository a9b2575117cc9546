"""Templates of a vertical that scores texts for one of two outcomes; what it shares with tables is theirs."""
