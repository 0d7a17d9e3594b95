"""Before training: the model and steps that fit into the time, the memory, and the loss to expect."""
