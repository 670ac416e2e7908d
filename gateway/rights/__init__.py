"""What a subject may ask for itself: what was seen of it, its own report, everything kept, and that it be erased."""
