import { isAbsolute } from 'node:path';
import {
  type ClientConfigFile,
  readClientConfig,
  unknownFields,
  unusableConfig,
} from '../base/client-config.js';
import type { Log } from '../base/log.js';
import type { Client } from '../cryptoki/application.js';
import { type EngineOffer, type Library, slotsFor } from '../cryptoki/library.js';

/** Where a cloudhsm-pkcs11.cfg is looked for when the application names none, first to last. */
export interface LibraryPlaces {
  readonly configFiles: readonly string[];
}

/** Makes the library of each application as its cloudhsm-pkcs11.cfg says, which is read then and never again. */
export class Libraries {
  constructor(
    private readonly offer: EngineOffer,
    private readonly places: LibraryPlaces,
    private readonly log: Log,
  ) {}

  /** Throws BAD_CONFIGURATION. */
  open(client: Client, configFile: string | undefined): Library {
    const found = this.#find(configFile);
    const slots = slotsFor(this.offer, found);
    const unknown = found === undefined ? [] : unknownFields(found.config);
    if (unknown.length > 0) {
      const text = `${found!.file}: fields without effect: ${unknown.join(', ')}`;
      this.log.warn({ pid: client.pid, program: client.program }, text);
    }
    return { slots };
  }

  #find(named: string | undefined): ClientConfigFile | undefined {
    if (named === undefined) {
      for (const file of this.places.configFiles) {
        const found = readClientConfig(file);
        if (found !== undefined) return found;
      }
      return undefined;
    }
    const found = isAbsolute(named) ? readClientConfig(named) : undefined;
    if (found !== undefined) return found;
    throw unusableConfig(named, 'there is no such file, and CLOUDHSM_PKCS11_CONFIG names it');
  }
}
