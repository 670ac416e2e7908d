"""Who calls: the participant registry, tokens, certificates, and what a role may call."""
