"""Adapter of the platform ``chongqing``, written from ``docs/platforms/chongqing.md`` alone."""
