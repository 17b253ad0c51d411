/** The table at the end: what became of each download, or of each stream. */
import type { Download } from './download.ts';
import type { MediaStream } from './media-stream.ts';
import { megabytes, percent, seconds } from './picture.ts';
import type { Style } from './style.ts';

const LABEL_WIDTH = 18;
const COLUMN_WIDTH = 28;

export function summaryTable(downloads: readonly Download[], style: Style): string[] {
  const row = rowsOf(downloads);
  return [
    heading(row, style),
    row('result', result).replace('complete', style.paint('green', 'complete')),
    row('received', (each) => `${megabytes(each.received)} (${percent(each)})`),
    row('SHA-256', (each) => (each.verdict?.kind === 'complete' ? 'right' : '-')),
    row('longest silence', (each) => seconds(each.longestSilenceMs)),
    row('session gap', (each) => (each.gapMs === undefined ? '-' : `${Math.round(each.gapMs)} ms`)),
    row('client addresses', (each) => each.addresses.join(', ')),
  ];
}

export function mediaTable(streams: readonly MediaStream[], style: Style): string[] {
  const row = rowsOf(streams);
  return [
    heading(row, style),
    row('result', ({ verdict }) => (verdict?.kind === 'finished' ? 'finished' : (verdict?.reason ?? '-'))),
    row('received', ({ received, sent }) => `${received} of ${sent}`),
    row('twice', ({ twice }) => String(twice)),
    row('longest silence', ({ longestGapMs }) => seconds(longestGapMs)),
    row('jitter', ({ jitterMs }) => `${jitterMs} ms`),
  ];
}

type Row<Each> = (label: string, cell: (each: Each) => string) => string;

function rowsOf<Each>(all: readonly Each[]): Row<Each> {
  return (label, cell) => `  ${label.padEnd(LABEL_WIDTH)}${all.map((each) => column(cell(each))).join('')}`.trimEnd();
}

function heading(row: Row<{ readonly title: string }>, style: Style): string {
  return style.paint(
    'bold',
    row('', (each) => each.title),
  );
}

function result({ verdict }: Download): string {
  switch (verdict?.kind) {
    case undefined:
      return '-';
    case 'complete':
      return `complete in ${seconds(verdict.tookMs)}`;
    case 'stalled':
      return `stalled for ${seconds(verdict.silentMs)}`;
    case 'failed':
      return `failed: ${verdict.reason}`;
  }
}

function column(text: string): string {
  return text.slice(0, COLUMN_WIDTH - 2).padEnd(COLUMN_WIDTH);
}
