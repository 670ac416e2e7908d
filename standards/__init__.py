"""The unified credit standard: identifiers, code lists, data items, rules of law, merge. Pure code and data."""
