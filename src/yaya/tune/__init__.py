"""Search for better keys of a training stage: many short trainings, with bad ones stopped early."""
