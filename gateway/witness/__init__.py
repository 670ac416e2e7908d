"""Asking outside witnesses for cosignatures, and what their silence means for admissions."""
