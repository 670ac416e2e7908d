"""The officers' desk: what compliance, auditors and regulators search, trace, sample, decide and unmask."""
