"""Consents (授权): artefacts, lifecycle, and the decision whether a query may be made."""
