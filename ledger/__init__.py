"""The access log: entries, append, Merkle tree, sealer, checkpoints, proofs, fsck."""
