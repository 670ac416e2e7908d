"""What fsck reads: every leaf with whatever it has, and what no leaf leads to."""
