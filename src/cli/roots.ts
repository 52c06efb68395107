import { join } from 'node:path';
import * as z from 'zod';
import { commandFailure } from '../base/errors.js';
import { readFileIfPresent, writePrivateFile } from '../base/files.js';
import {
  boardOf,
  newDeviceCertificates,
  newRoots,
  type Roots,
  rootFiles,
  rootNames,
} from '../control-plane/identity/hardware.js';
import { parseCertificate } from '../crypto/index.js';
import type { Hsm } from '../hsm/hsm.js';
import type { Home } from './home.js';

/* The emulated manufacturers of a home's HSMs. */

const rootsSchema = z.record(
  z.enum(rootNames),
  z.object({ certificate: z.string(), privateKey: z.string() }),
);

function readRoots(home: Home): Roots | undefined {
  const contents = readFileIfPresent(home.rootsFile);
  if (contents === undefined) return undefined;
  try {
    return rootsSchema.parse(JSON.parse(contents.toString()));
  } catch (error) {
    throw commandFailure('BAD_CONFIGURATION', `${home.rootsFile} does not hold the emulated roots`, error);
  }
}

/** The roots that users pin: made once per home. Throws BAD_CONFIGURATION. */
export async function ensureRoots(home: Home): Promise<Roots> {
  const present = readRoots(home);
  if (present !== undefined) return present;
  const roots = await newRoots();
  writePrivateFile(home.rootsFile, `${JSON.stringify(roots, null, 2)}\n`);
  for (const name of rootNames)
    writePrivateFile(join(home.certificatesDirectory, rootFiles[name]), roots[name].certificate);
  return roots;
}

/** Gives an HSM of the home, which listens with a certificate, those of its hardware, once: not where the home has no roots. */
export async function certifyHsm(home: Home, hsm: Hsm, certificate: string): Promise<void> {
  if (hsm.deviceCertificates !== undefined) return;
  const roots = readRoots(home);
  if (roots === undefined) return;
  const { id, ordinal } = hsm.settings;
  const { spki } = parseCertificate(certificate);
  await hsm.keepDeviceCertificates(
    await newDeviceCertificates(roots, hsm.settings, boardOf(id, ordinal), spki),
  );
}
