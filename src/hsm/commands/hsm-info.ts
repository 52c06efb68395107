import type { ClusterMode, HsmType } from '../../base/cluster-kind.js';
import { digest } from '../../crypto/index.js';
import { ckr } from '../../pkcs11/ckr.js';
import type { DeviceCertificates } from '../device-certificates.js';
import type { Command } from './command.js';

export interface HsmInfo {
  readonly serialNumber: string;
  readonly hsmType: HsmType;
  readonly mode: ClusterMode;
}

/** In the form of the sample `5.3G1941-ICM000590` (reference management-tools, section 6.2): the last six digits tell HSMs apart. */
function serialNumber(hsmId: string): string {
  const number = digest('sha256', Buffer.from(hsmId)).readUInt32BE(0) % 1_000_000;
  return `5.3G1941-ICM${String(number).padStart(6, '0')}`;
}

/** Which HSM this is: "all, no login". */
export const getHsmInfo: Command<void, HsmInfo> = {
  login: 'none',
  run: ({ hsm }) => {
    const { id, hsmType, mode } = hsm.settings;
    return { serialNumber: serialNumber(id), hsmType, mode };
  },
};

/** Whose hardware it is: "all". CKR_FUNCTION_NOT_SUPPORTED where nobody has said. */
export const getDeviceCertificates: Command<void, DeviceCertificates> = {
  login: 'none',
  run: ({ hsm }) => {
    const certificates = hsm.deviceCertificates;
    if (certificates === undefined)
      throw ckr('CKR_FUNCTION_NOT_SUPPORTED', `${hsm.settings.id} has no certificates of a manufacturer`);
    return certificates;
  },
};
