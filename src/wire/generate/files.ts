import { cryptokiHeader } from './cryptoki.js';
import { callsHeader, exportsMap, functionsHeader, rowsHeader } from './tables.js';

/** Where the generated files live, seen from the project's root. */
export const generatedFolder = 'native/pkcs11/generated';

/** The generated files by name, with their text. */
export function generatedFiles(): Readonly<Record<string, string>> {
  return {
    'cryptoki.h': cryptokiHeader(),
    'calls.h': callsHeader(),
    'rows.h': rowsHeader(),
    'functions.h': functionsHeader(),
    'exports.map': exportsMap(),
  };
}
