import { askEngineText } from '../control.js';
import type { Home } from '../home.js';
import { askRunning } from '../listeners.js';
import { mergedMetrics } from '../merged-metrics.js';

export async function metricsCommand(home: Home): Promise<void> {
  const pages = await askRunning(home, (listener) => askEngineText(listener, 'GET', '/metrics'));
  process.stdout.write(mergedMetrics([...pages.values()]));
}
