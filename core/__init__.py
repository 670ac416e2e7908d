"""What everything may use: errors, permit and receipt, ids, clock, canonical bytes, strict JWS."""
