/**
 * Metrics in the text format 0.0.4 of Prometheus, which `stats` of the line protocol shows in the same words.
 */

export interface Metric {
  /** As in `aarpd_requests_total`; a test holds docs/aarpd.md to the names that are given out. */
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  /** One value, or one for each value of a label. */
  readonly values: number | { readonly label: string; readonly by: Readonly<Record<string, number>> };
}

export function counter(name: string, help: string, values: number): Metric {
  return { name, type: 'counter', help, values };
}

export function gauge(name: string, help: string, values: number): Metric {
  return { name, type: 'gauge', help, values };
}

export function formatMetrics(metrics: readonly Metric[]): string {
  return metrics
    .map((metric) => {
      const { name, type, help } = metric;
      const samples = samplesOf(metric).map(([sample, value]) => `${sample} ${value}\n`);
      return `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}\n${samples.join('')}`;
    })
    .join('');
}

/** `aarpd_requests_total{verb="resolve"}` and its value. Label values are words of ours, so none needs escaping. */
export function samplesOf({ name, values }: Metric): [string, number][] {
  if (typeof values === 'number') return [[name, values]];
  return Object.entries(values.by).map(([label, value]) => [`${name}{${values.label}="${label}"}`, value]);
}
