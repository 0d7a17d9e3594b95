"""How good is the model: loss, primer questions, repetition; and the report."""
