"""The simulated Chongqing platform, written from docs/platforms/chongqing.md alone."""
