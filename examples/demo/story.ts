/** What happened so far, in sentences with their time since the first. */
export interface Chapter {
  readonly atMs: number;
  readonly tone: 'plain' | 'good' | 'bad' | 'warning';
  readonly text: string;
}

export class Story {
  readonly chapters: Chapter[] = [];
  #startedAt: number | undefined;
  readonly #listener: (chapter: Chapter) => void;

  constructor(listener: (chapter: Chapter) => void = () => undefined) {
    this.#listener = listener;
  }

  tell(text: string, tone: Chapter['tone'] = 'plain'): void {
    this.#startedAt ??= Date.now();
    const chapter = { atMs: Date.now() - this.#startedAt, tone, text };
    this.chapters.push(chapter);
    this.#listener(chapter);
  }
}
