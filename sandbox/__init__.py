"""The two regional platforms, simulated over real sockets. Written from docs/platforms alone."""
