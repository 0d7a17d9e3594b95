"""The transformer, and pretrained checkpoints in and out."""
