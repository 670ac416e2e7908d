"""How a lender comes by a consent: the texts shown, the bundle asked for, the paper behind a letter."""
