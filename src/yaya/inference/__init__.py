"""One engine for chat, evaluation, training samples and the server."""
