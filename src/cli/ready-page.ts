import type { Home } from './home.js';
import { modulePath, sampleFolder } from './installation.js';
import { shellWord } from './shell.js';
import type { EngineStatus } from './status.js';
import { bold, dim } from './terminal.js';

/** Programs here do not need the network, so that this ends no start. */
function whatIsNotReached({ logFile }: Home, { clusters }: EngineStatus): string[] {
  const silent = clusters.flatMap(({ hsms }) =>
    hsms.filter(({ eniIp }) => eniIp === null).map(({ id }) => id),
  );
  if (silent.length === 0) return [];
  return [
    `warning: CloudHSM's tools and clients elsewhere do not reach ${silent.join(', ')}: ${logFile} says why`,
    '',
  ];
}

/** The short page after a start: what runs, and the lines to paste. No password is on it: `env` has them. */
export function readyPage(home: Home, status: EngineStatus): string {
  const { clusters, profile } = status;
  const running = clusters.map(
    ({ id, hsms, hsmType, mode }) => `${id}: ${hsms.length} × ${hsmType}, ${mode}, profile ${profile}`,
  );
  const lines: [string, string][] = [
    ['Shell', `eval "$(npx cloudhsm-local env --home ${shellWord(home.directory)})"`],
    [
      'OpenSC',
      `pkcs11-tool --module "$PKCS11_MODULE_PATH" --login --pin "$CLOUDHSM_PIN" \\
             --keypairgen --key-type rsa:2048 --label my-key --id 01`,
    ],
    [
      'OpenSSL',
      `OPENSSL_CONF=${shellWord(`${sampleFolder}/openssl-engine.cnf`)} openssl req -new -x509 -subj /CN=localhost \\
             -engine pkcs11 -keyform engine -key "pkcs11:token=hsm1;object=my-key;type=private?pin-value=$CLOUDHSM_PIN"`,
    ],
    [
      'nginx',
      `ssl_certificate_key "engine:pkcs11:pkcs11:token=hsm1;object=my-key;type=private?pin-value=…";
             with OPENSSL_CONF in its environment, as above: see ${sampleFolder}/nginx.conf`,
    ],
    [
      'Java',
      `keytool -list -J-Dcloudhsm.module="$PKCS11_MODULE_PATH" -keystore NONE -storetype PKCS11 \\
             -addprovider SunPKCS11 -providerarg ${shellWord(`${sampleFolder}/java-sunpkcs11.cfg`)} -storepass "$CLOUDHSM_PIN"`,
    ],
    [
      'Node',
      `node ${shellWord(`${sampleFolder}/node-graphene.mjs`)} my-ec-key   or pkcs11js, as in the README`,
    ],
  ];
  return [
    bold(`CloudHSM is running: ${running}`),
    `  home     ${home.directory}`,
    `  module   ${modulePath}`,
    '',
    ...whatIsNotReached(home, status),
    ...lines.map(([name, line]) => `  ${name.padEnd(9)}${line}`),
    '',
    dim(`Samples for each client are in ${sampleFolder}. End it with Ctrl-C or \`npx cloudhsm-local down\`.`),
  ].join('\n');
}
