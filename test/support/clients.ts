import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Clients that tests wanted and this machine does not have, with the Debian package that brings them. */
const missing = new Map<string, string>();

function isInstalled(program: string): boolean {
  const folders = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    '/usr/sbin',
    '/usr/lib/x86_64-linux-gnu/engines-3',
    '/usr/lib/python3/dist-packages',
  ];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.R_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * Skips the test where a client is missing, and says so at the end of the run; in CI none may be missing.
 * `program` is looked for on the PATH; engines (`pkcs11.so`) and modules of Python (`PyKCS11`) where Debian keeps them.
 */
export function needsClient(test: Mocha.Context, program: string, debianPackage: string): void {
  if (isInstalled(program)) return;
  if (process.env['CI']) throw new Error(`${program} is missing: CI must install ${debianPackage}`);
  missing.set(program, debianPackage);
  test.skip();
}

export const mochaHooks = {
  afterAll(): void {
    for (const [program, debianPackage] of missing) {
      console.log(`not tested: ${program} is not installed (Debian package ${debianPackage})`);
    }
  },
};
