/** The table at the end: what became of each download. */
import type { Download } from './download.ts';
import { megabytes, percent, seconds } from './picture.ts';
import type { Style } from './style.ts';

const LABEL_WIDTH = 18;
const COLUMN_WIDTH = 28;

export function summaryTable(downloads: readonly Download[], style: Style): string[] {
  const row = (label: string, cell: (download: Download) => string): string =>
    `  ${label.padEnd(LABEL_WIDTH)}${downloads.map((each) => column(cell(each))).join('')}`.trimEnd();
  return [
    style.paint(
      'bold',
      row('', (each) => each.title),
    ),
    row('result', result).replace('complete', style.paint('green', 'complete')),
    row('received', (each) => `${megabytes(each.received)} (${percent(each)})`),
    row('SHA-256', (each) => (each.verdict?.kind === 'complete' ? 'right' : '-')),
    row('longest silence', (each) => seconds(each.longestSilenceMs)),
    row('session gap', (each) => (each.gapMs === undefined ? '-' : `${Math.round(each.gapMs)} ms`)),
    row('client addresses', (each) => each.addresses.join(', ')),
  ];
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
