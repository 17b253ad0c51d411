/**
 * Line reader: cuts what comes on a stream into lines, and keeps no more than one line that is not complete. A line
 * that is too long is told once and left out; the next one is read as ever.
 */

/** A line without its end; `undefined` stands for one that was too long. */
export interface ReadLine {
  readonly text: string | undefined;
}

export class LineReader {
  readonly #limitBytes: number;
  #buffered = '';
  #at = 0;
  /** The rest of a line that was too long is still to come. */
  #skipping = false;

  /** `limitBytes` counts the LF. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Bytes that are no whole line yet, or not yet taken. */
  get pendingBytes(): number {
    return this.#buffered.length - this.#at;
  }

  /** Takes bytes in. One character stands for one byte (latin1): what is not ASCII is for the parser to refuse. */
  push(bytes: Uint8Array): void {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
    this.#buffered = this.#at === this.#buffered.length ? text : this.#buffered.slice(this.#at) + text;
    this.#at = 0;
  }

  /** The next line, or nothing before more bytes are here. */
  next(): ReadLine | undefined {
    for (;;) {
      const end = this.#buffered.indexOf('\n', this.#at);
      const length = (end < 0 ? this.#buffered.length : end + 1) - this.#at;
      const tooLong = length > this.#limitBytes || (end < 0 && length === this.#limitBytes);
      if (end < 0 && !tooLong && !this.#skipping) return undefined;
      const start = this.#at;
      this.#at += length;
      const wasSkipping = this.#skipping;
      this.#skipping = end < 0;
      if (wasSkipping) {
        if (end < 0) return undefined;
        continue;
      }
      if (tooLong) return { text: undefined };
      return { text: this.#buffered.slice(start, this.#buffered[end - 1] === '\r' && end > start ? end - 1 : end) };
    }
  }
}
