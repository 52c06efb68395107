import * as z from 'zod';
import type { Change, RecordStore } from '../store/record-store.js';
import { settingKey } from './setting-rows.js';

/*
 * Whose hardware an HSM is (reference management-tools, section 4.2, certificate types 1, 2 and 16). Whoever runs it in place of a
 * manufacturer gives it them; no backup carries them.
 */

const schema = z.object({
  /** PEM. */
  manufacturerRoot: z.string(),
  /** Issued by that root. */
  manufacturerHardware: z.string(),
  /** For the key of the HSM's own certificate, issued by the hardware. */
  hsm: z.string(),
});
export type DeviceCertificates = z.infer<typeof schema>;

const SETTING = settingKey('device-certificates');

export function readDeviceCertificates(store: RecordStore): DeviceCertificates | undefined {
  const stored = store.get('settings', SETTING);
  return stored && schema.parse(JSON.parse(stored.toString('utf8')));
}

export function deviceCertificatesChange(certificates: DeviceCertificates): Change {
  return { table: 'settings', key: SETTING, value: Buffer.from(JSON.stringify(certificates)) };
}
