"""Is this month's batch like what the champion was trained on, and how good is the champion likely to be on it?"""
