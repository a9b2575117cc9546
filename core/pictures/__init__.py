"""Pictures through a saved model: scored, looked at, exported; what verticals with pictures share."""
