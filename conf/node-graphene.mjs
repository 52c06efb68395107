// Signs with a key in the HSM from Node, with graphene-pk11:
//
//   eval "$(npx cloudhsm-local env)"
//   node conf/node-graphene.mjs my-ec-key
//
// Prints the signature (ECDSA with SHA-256, r and s) of "pay 100 to Alice" in hexadecimal.
import graphene from 'graphene-pk11';

const label = process.argv[2] ?? 'my-ec-key';
const module = graphene.Module.load(process.env.PKCS11_MODULE_PATH, 'CloudHSM');
module.initialize();
try {
  // CloudHSM opens read-write sessions only.
  const session = module
    .getSlots(0, true)
    .open(graphene.SessionFlag.RW_SESSION | graphene.SessionFlag.SERIAL_SESSION);
  session.login(process.env.CLOUDHSM_PIN);
  const found = session.find({ class: graphene.ObjectClass.PRIVATE_KEY, label });
  if (found.length === 0) throw new Error(`there is no private key ${label}`);
  const key = found.items(0).toType();
  const signature = session.createSign('ECDSA_SHA256', key).once(Buffer.from('pay 100 to Alice'));
  console.log(signature.toString('hex'));
  session.logout();
  session.close();
} finally {
  module.finalize();
}
