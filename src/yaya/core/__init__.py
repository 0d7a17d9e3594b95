"""The base of every room: messages, recipes, artifacts, the machine, progress. Imports no other room."""
