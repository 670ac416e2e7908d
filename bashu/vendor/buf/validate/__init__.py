"""Vendored options of protovalidate, generated."""
