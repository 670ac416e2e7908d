"""What the sealer projected from entries, held against them, and made anew: never evidence, always derivable."""
