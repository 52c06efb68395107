import { limits } from '../base/limits.js';
import { CK_UNAVAILABLE_INFORMATION, CKF } from '../pkcs11/constants.js';
import type { infoLayouts, StructValue } from '../pkcs11/layouts.js';

/*
 * What the library, slot and token call themselves. Slot id and token label were seen with the real library; the other
 * texts are not public and follow the suggestions of reference section 4 and 20.
 */

const cryptokiVersion = { major: 2, minor: 40 };
/** The Client SDK whose behaviour this is. */
export const libraryVersion = { major: 5, minor: 18 };
/** "hardware 5.3; firmware 2.06 build 16" of hsm1.medium, which hsm2m is assumed to share (tools reference, section 6.2). */
export const hardware = {
  vendor: 'Marvell Semiconductors, Inc.',
  model: 'NITROX-III CNN35XX-NFBE',
  hardwareVersion: { major: 5, minor: 3 },
  firmwareVersion: { major: 2, minor: 6 },
  firmwareBuild: 16,
  firmwareId: 'CNN35XX-NFBE-FW-2.06-16',
} as const;
const { vendor, hardwareVersion, firmwareVersion } = hardware;
/** CK_TOKEN_INFO has room for as much of a model's name. */
const MODEL_CHARACTERS = 16;

export const libraryInfo: StructValue<(typeof infoLayouts)['CK_INFO']> = {
  cryptokiVersion,
  // XiPKI knows CloudHSM's library by "cloudhsm" in this field, upper or lower case, and leaves the IV of GCM open there (its
  // vendor-cloudhsm.json [seen]); the rest of the text is not public.
  manufacturerID: 'CloudHSM',
  flags: 0,
  libraryDescription: 'AWS CloudHSM PKCS#11',
  libraryVersion,
};

export function slotInfo(clusterId: string): StructValue<(typeof infoLayouts)['CK_SLOT_INFO']> {
  return {
    slotDescription: `AWS CloudHSM ${clusterId}`,
    manufacturerID: vendor,
    flags: CKF.CKF_TOKEN_PRESENT | CKF.CKF_HW_SLOT,
    hardwareVersion,
    firmwareVersion,
  };
}

/** The real token does not say that its PIN is initialised, which is why OpenSSL's engine needs FORCE_LOGIN there. */
const tokenFlags = CKF.CKF_RNG | CKF.CKF_LOGIN_REQUIRED | CKF.CKF_TOKEN_INITIALIZED;

/** A PIN is `user:password`: one character of name, a colon and 8 of password at least. */
const pinLength = {
  ulMinPinLen: limits.passwordMinCharacters + 2,
  ulMaxPinLen: limits.userNameMaxCharacters + 1 + limits.passwordMaxCharacters,
};

export function tokenInfo(
  pinInitialized: boolean,
  clusterId: string,
  sessions: { readonly all: number; readonly readWrite: number },
): StructValue<(typeof infoLayouts)['CK_TOKEN_INFO']> {
  return {
    label: 'hsm1',
    manufacturerID: vendor,
    model: hardware.model.slice(0, MODEL_CHARACTERS),
    // The part of the id that tells clusters apart.
    serialNumber: clusterId.replace(/^cluster-/, ''),
    flags: tokenFlags | (pinInitialized ? CKF.CKF_USER_PIN_INITIALIZED : 0),
    ulMaxSessionCount: limits.sessionsPerApplication,
    ulSessionCount: sessions.all,
    ulMaxRwSessionCount: limits.sessionsPerApplication,
    ulRwSessionCount: sessions.readWrite,
    ...pinLength,
    ulTotalPublicMemory: CK_UNAVAILABLE_INFORMATION,
    ulFreePublicMemory: CK_UNAVAILABLE_INFORMATION,
    ulTotalPrivateMemory: CK_UNAVAILABLE_INFORMATION,
    ulFreePrivateMemory: CK_UNAVAILABLE_INFORMATION,
    hardwareVersion,
    firmwareVersion,
    utcTime: '',
  };
}
