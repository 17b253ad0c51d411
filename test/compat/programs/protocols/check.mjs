export function check(found, wanted, what) {
  if (found !== wanted) throw new Error(`${what}: ${JSON.stringify(found)}, ${JSON.stringify(wanted)} expected`);
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Chunks of a stream put together again as the lines that were written. */
export async function* lines(stream) {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const pieces = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = pieces.pop();
    yield* pieces;
  }
  if (rest !== '') throw new Error(`cut off: ${rest}`);
}
