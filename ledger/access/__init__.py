"""The access list: who saw, or tried to see, whose file; projected from entries as they are integrated."""
