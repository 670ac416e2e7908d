"""How many entries of each institution stand in the log, hour by hour (TALLY)."""
