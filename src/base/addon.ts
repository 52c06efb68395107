import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** The parts of the native addon; each is typed by the one file that uses it. */
export type AddonPart = 'crypto' | 'disk' | 'host' | 'tls' | 'transport';

const require = createRequire(import.meta.url);
// From dist/src/base, or from dist/bundle/programs, to the project root, where node-gyp builds.
const addonUrl = new URL('../../../build/Release/cloudhsm_local.node', import.meta.url);

function loadAddon(): Record<string, unknown> {
  try {
    return require(fileURLToPath(addonUrl));
  } catch (cause) {
    throw new Error('The native addon is missing or was built for another Node: run "npm run build".', {
      cause,
    });
  }
}

const addon = loadAddon();

/**
 * One part of the native addon.
 * @throws Error naming `npm run build` when the addon cannot be loaded (at import) or lacks the part.
 */
export function addonPart<T>(name: AddonPart): T {
  const part = addon[name];
  if (part === undefined) throw new Error(`The native addon has no part "${name}": run "npm run build".`);
  return part as T;
}
