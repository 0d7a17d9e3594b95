"""What every room stands on: messages, recipes, artifacts, the machine, progress. Imports no other room."""
