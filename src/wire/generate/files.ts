import { standardHeaders } from './standard-headers.js';
import { callsHeader, exportsMap, functionsHeader, rowsHeader } from './tables.js';
import { vendorHeader } from './vendor-header.js';

/** Where the generated files live, seen from the project's root. */
export const generatedFolder = 'native/pkcs11/generated';

const inFolder = (folder: string, files: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(files).map(([name, text]) => [folder + name, text]));

/** The generated files by name, with their text. Those of include/ are for programs, and the build hands them out. */
export function generatedFiles(): Readonly<Record<string, string>> {
  return {
    ...inFolder('include/', { ...standardHeaders(), 'cloudhsm_pkcs11_vendor_defs.h': vendorHeader() }),
    'calls.h': callsHeader(),
    'rows.h': rowsHeader(),
    'functions.h': functionsHeader(),
    'exports.map': exportsMap(),
  };
}
