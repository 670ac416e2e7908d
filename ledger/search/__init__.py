"""Entries found by what they are about, through the projections of the sealer."""
