/** Callbacks that wait for the same thing, and are called in order and once. */
export type Callback = (error?: Error | null) => void;

export class PendingCalls {
  #calls: Callback[] = [];

  get waiting(): boolean {
    return this.#calls.length > 0;
  }

  add(call: Callback): void {
    this.#calls.push(call);
  }

  release(error: Error | null = null): void {
    const calls = this.#calls;
    this.#calls = [];
    for (const call of calls) call(error);
  }

  forget(): void {
    this.#calls = [];
  }
}
