"""HTTP: OpenAI's fields and errors, `/generate`, and the chat page. One thread owns the engine."""
