"""Search for better keys of a training stage: many short trainings, the bad ones stopped early."""
