/** A client of aarpd as a person with `nc -U` is one: sends text, reads lines. */
import { once } from 'node:events';
import net from 'node:net';

export class LineClient {
  readonly socket: net.Socket;
  readonly lines: string[] = [];
  readonly closed: Promise<void>;
  #partial = '';
  #wake: () => void = () => {};
  #ended = false;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      const pieces = (this.#partial + text).split('\n');
      this.#partial = pieces.pop() ?? '';
      this.lines.push(...pieces);
      this.#wake();
    });
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#ended = true;
        this.#wake();
        resolve();
      });
    });
  }

  static async connect(path: string): Promise<LineClient> {
    const socket = net.connect(path);
    await once(socket, 'connect');
    return new LineClient(socket);
  }

  send(...lines: readonly string[]): void {
    this.socket.write(lines.map((line) => `${line}\n`).join(''));
  }

  /** Waits for as many lines as there are to come, and takes them. */
  async take(count: number): Promise<string[]> {
    while (this.lines.length < count && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.lines.length < count) throw new Error(`ended after ${JSON.stringify(this.lines)}`);
    return this.lines.splice(0, count);
  }

  async ask(line: string): Promise<string> {
    this.send(line);
    const [answer = ''] = await this.take(1);
    return answer;
  }

  close(): void {
    this.socket.destroy();
  }
}
