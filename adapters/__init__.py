"""Adapters: one folder a platform, and the kit that all of them stand on."""
