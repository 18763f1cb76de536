"""Tree nodes, inclusion proofs and checkpoints of a store."""
