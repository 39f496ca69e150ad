// Server-sent events over fetch: EventSource can send no key, and asks again and again what has ended.

/**
 * @param {Response} response
 * @returns {AsyncGenerator<{name: string, data: any}>}
 */
export async function* events(response) {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop() ?? "";
    yield* blocks.map(event);
  }
}

/** @param {string} block the lines of one event */
function event(block) {
  const fields = new Map(
    block.split("\n").map((line) => {
      const colon = line.indexOf(": ");
      return /** @type {[string, string]} */ ([line.slice(0, colon), line.slice(colon + 2)]);
    }),
  );
  return { name: fields.get("event") ?? "message", data: JSON.parse(fields.get("data") ?? "null") };
}
