"""Watching the database's clock, by which everything is decided and dated."""
