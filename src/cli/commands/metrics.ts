import { askEngineText } from '../control.js';
import type { Home } from '../home.js';

export async function metricsCommand(home: Home): Promise<void> {
  process.stdout.write(await askEngineText(home, 'GET', '/metrics'));
}
