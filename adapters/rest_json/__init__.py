"""An adapter that is only a file: a platform of plain JSON over HTTPS, described in TOML (docs/adapters.md)."""
