"""The commands of `bashu-gateway` beside those that run it (`gateway/cli.py`), one module a command or group."""
