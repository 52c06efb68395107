import type { Home } from './home.js';
import { modulePath, sampleFolder } from './installation.js';
import type { EngineStatus } from './status.js';
import { bold, dim } from './terminal.js';

/** The short page after a start: what runs, and the lines to paste. No password is on it: `env` has them. */
export function readyPage(home: Home, status?: EngineStatus): string {
  const cluster = status?.clusters[0];
  const running = cluster
    ? `${cluster.id}: ${cluster.hsms.length} × ${cluster.hsmType}, ${cluster.mode}, profile ${status.profile}`
    : 'the cluster is ready';
  const lines: [string, string][] = [
    ['Shell', `eval "$(npx cloudhsm-local env --home '${home.directory}')"`],
    ['OpenSC', 'pkcs11-tool --module "$PKCS11_MODULE_PATH" --login --pin "$CLOUDHSM_PIN" -O'],
    [
      'OpenSSL',
      `OPENSSL_CONF='${sampleFolder}/openssl-engine.cnf' openssl req -new -x509 -subj /CN=localhost \\
             -engine pkcs11 -keyform engine -key "pkcs11:token=hsm1;object=my-key;type=private?pin-value=$CLOUDHSM_PIN"`,
    ],
    [
      'nginx',
      'ssl_certificate_key "engine:pkcs11:pkcs11:token=hsm1;object=my-key;type=private?pin-value=…";',
    ],
    [
      'Java',
      `java -Dcloudhsm.module="$PKCS11_MODULE_PATH" …   with the provider configuration ${sampleFolder}/java-sunpkcs11.cfg`,
    ],
    ['Node', 'new (require("pkcs11js").PKCS11)().load(process.env.PKCS11_MODULE_PATH)'],
  ];
  return [
    bold(`CloudHSM is running: ${running}`),
    `  home     ${home.directory}`,
    `  module   ${modulePath}`,
    '',
    ...lines.map(([name, line]) => `  ${name.padEnd(9)}${line}`),
    '',
    dim(`Samples for each client are in ${sampleFolder}. End it with Ctrl-C or \`npx cloudhsm-local down\`.`),
  ].join('\n');
}
