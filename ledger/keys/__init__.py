"""The log's own keys: which sign, and how one succeeds another."""
