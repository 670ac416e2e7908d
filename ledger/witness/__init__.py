"""Outside witnesses (C2SP tlog-witness): what they sign, and what is kept of it."""
