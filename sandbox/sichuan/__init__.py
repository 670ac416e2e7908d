"""The simulated platform sichuan, written from docs/platforms/sichuan.md."""
