"""One training loop and its objectives."""
