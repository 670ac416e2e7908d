"""Details sealed under a data key of their owner; destroying the key is what erasing them means."""
