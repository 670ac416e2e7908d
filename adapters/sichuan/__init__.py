"""Adapter of the platform ``sichuan``, written from ``docs/platforms/sichuan.md`` alone."""
