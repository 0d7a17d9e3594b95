// Talks to the server, with OpenAI's protocol.

/** `kind` names one of the page's own messages; `text` is what the server said, if it said anything. */
export class ChatError extends Error {
  constructor(kind, text = "") {
    super(text || kind);
    this.kind = kind;
    this.text = text;
  }
}

function kindOf(status) {
  if (status === 429) return "busy";
  if (status === 503) return "gone";
  return status >= 500 ? "failed" : "refused";
}

export async function health() {
  const response = await fetch("/health");
  return response.json();
}

export async function about() {
  const response = await fetch("/page/about.json");
  return response.json();
}

/** Yields the chunks of a streamed reply; throws ChatError, or AbortError after `signal`. */
export async function* streamChat(request, language, signal) {
  let response;
  try {
    response = await fetch("/v1/chat/completions", {
      method: "POST",
      headers: { "Content-Type": "application/json", "Accept-Language": language },
      body: JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } }),
      signal,
    });
  } catch (error) {
    throw error.name === "AbortError" ? error : new ChatError("gone");
  }
  if (!response.ok) {
    const body = await response.json().catch(() => ({}));
    throw new ChatError(kindOf(response.status), body.error?.message);
  }
  for await (const data of events(response.body)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new ChatError("broken", chunk.error.message);
    yield chunk;
  }
  throw new ChatError("broken");
}

/** The data of each server-sent event. */
async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch (error) {
      throw error.name === "AbortError" ? error : new ChatError("broken");
    }
    if (part.done) return;
    buffer += part.value;
    const blocks = buffer.split("\n\n");
    buffer = blocks.pop();
    for (const block of blocks) {
      if (block.startsWith("data: ")) yield block.slice(6);
    }
  }
}
