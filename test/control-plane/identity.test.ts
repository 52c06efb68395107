import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { type ClusterKind, clusterKinds } from '../../src/base/cluster-kind.js';
import { checkClusterTrust } from '../../src/control-plane/identity/cluster-trust.js';
import { newHsmIdentity, newRoots, type Roots } from '../../src/control-plane/identity/hardware.js';
import { openssl, signCsr, temporaryDirectory } from '../support/control-plane.js';

const titleOf = ({ hsmType, mode }: ClusterKind): string => `${hsmType} ${mode}`;

// Section 7 of the reference on the control plane: what users run, with openssl.
describe('the identity of an HSM', () => {
  let roots: Roots;
  let directory: ReturnType<typeof temporaryDirectory>;

  before(async () => {
    roots = await newRoots();
    directory = temporaryDirectory();
  });
  after(() => directory.remove());

  const write = (name: string, ...contents: string[]): void =>
    writeFileSync(join(directory.path, name), contents.join(''));

  for (const kind of clusterKinds) {
    it(`of ${titleOf(kind)} verifies through AWS and through its manufacturer`, async () => {
      const { identity } = await newHsmIdentity(roots, kind, { serial: 'SIM2345B07362', partition: 25 });
      write('HsmCertificate.crt', identity.hsmCertificate);
      write('ClusterCsr.csr', identity.clusterCsr);
      write('AWS_chain.crt', identity.awsHardwareCertificate, roots.aws.certificate);
      write(
        'manufacturer_chain.crt',
        identity.manufacturerHardwareCertificate,
        roots[kind.hsmType].certificate,
      );
      for (const chain of ['AWS_chain.crt', 'manufacturer_chain.crt'])
        expect(openssl(directory.path, 'verify', '-CAfile', chain, 'HsmCertificate.crt')).to.equal(
          'HsmCertificate.crt: OK\n',
        );
      const key = openssl(directory.path, ...'x509 -in HsmCertificate.crt -pubkey -noout'.split(' '));
      expect(openssl(directory.path, ...'req -in ClusterCsr.csr -pubkey -noout'.split(' '))).to.equal(key);
      expect(openssl(directory.path, ...'req -in ClusterCsr.csr -verify -noout -text'.split(' '))).to.contain(
        'Public-Key: (2048 bit)',
      );
    });
  }

  const subjectOf = async (kind: ClusterKind): Promise<string> => {
    const { identity } = await newHsmIdentity(roots, kind, { serial: 'SIM2345B07362', partition: 25 });
    write('subject.csr', identity.clusterCsr);
    return openssl(directory.path, ...'req -in subject.csr -noout -subject'.split(' ')).trim();
  };

  // Section 7.2: "C=US + ST=CA + OU=LS2 + L=SanJose + O=Marvell, CN=HSM:RCN2345B07362:PARTN:25, for FIPS mode".
  it('has the names that real ones have, in two relative names', async () => {
    expect(await subjectOf({ hsmType: 'hsm2m.medium', mode: 'FIPS' })).to.equal(
      'subject=C = US + ST = CA + OU = LS2 + L = SanJose + O = Marvell, CN = "HSM:SIM2345B07362:PARTN:25, for FIPS mode"',
    );
    expect(await subjectOf({ hsmType: 'hsm1.medium', mode: 'FIPS' })).to.equal(
      'subject=C = US + ST = CA + O = Cavium + OU = N3FIPS + L = SanJose, CN = "HSM:SIM2345B07362:PARTN:25, for FIPS mode"',
    );
  });
});

// Section 7.4.
describe('what InitializeCluster accepts', () => {
  let csr: string;
  let directory: ReturnType<typeof temporaryDirectory>;
  const run = (words: string): string => openssl(directory.path, ...words.split(' '));
  const file = (name: string): string => openssl(directory.path, 'x509', '-in', name);
  const CA = 'basicConstraints=critical,CA:TRUE';

  before(async () => {
    const { identity } = await newHsmIdentity(
      await newRoots(),
      { hsmType: 'hsm2m.medium', mode: 'FIPS' },
      { serial: 'SIM1', partition: 1 },
    );
    csr = identity.clusterCsr;
    directory = temporaryDirectory();
    writeFileSync(join(directory.path, 'cluster.csr'), csr);
    newRoot('root');
  });
  after(() => directory.remove());

  /** A self-signed authority `name.crt` with `name.key`. */
  function newRoot(name: string, options = '-newkey rsa:2048 -days 10'): void {
    run(`req -x509 -nodes -keyout ${name}.key -out ${name}.crt -subj /CN=${name} ${options}`);
  }

  function newIntermediate(name: string, issuer: string): void {
    writeFileSync(join(directory.path, 'ca.ext'), `${CA}\nsubjectKeyIdentifier=hash\n`);
    run(`req -newkey rsa:2048 -nodes -keyout ${name}.key -out ${name}.csr -subj /CN=${name}`);
    run(
      `x509 -req -days 5 -in ${name}.csr -CA ${issuer}.crt -CAkey ${issuer}.key -CAcreateserial -out ${name}.crt -extfile ca.ext`,
    );
  }

  function signedBy(issuer: string, options = '-days 5', request = 'cluster.csr'): string {
    run(
      `x509 -req -in ${request} -CA ${issuer}.crt -CAkey ${issuer}.key -CAcreateserial -out signed.crt ${options}`,
    );
    return file('signed.crt');
  }

  const check = (certificate: string, trustAnchor: string, nowMs = Date.now() + 1000): string => {
    try {
      checkClusterTrust({ certificate, trustAnchor }, csr, nowMs);
      return 'accepted';
    } catch (error) {
      return (error as Error).message;
    }
  };

  it('is a certificate made as documented, with or without a last line end', () => {
    const { signedCert, trustAnchor } = signCsr(csr);
    expect(check(signedCert, trustAnchor)).to.equal('accepted');
    expect(check(signedCert.trim(), `${trustAnchor.trim()}\n\n`)).to.equal('accepted');
    expect(check(signedCert.replaceAll('\n', '\r\n'), trustAnchor)).to.equal('accepted');
  });

  it('is a chain from the issuing authority to its root, of at most four', () => {
    newIntermediate('sub', 'root');
    newIntermediate('subsub', 'sub');
    const signed = signedBy('subsub');
    const [root, sub, subsub] = ['root.crt', 'sub.crt', 'subsub.crt'].map(file) as [string, string, string];
    expect(check(signed, subsub + sub + root)).to.equal('accepted');
    expect(check(signed, root + sub + subsub)).to.contain('self-signed');
    expect(check(signed, subsub + root)).to.contain('not issued by the one behind it');
    expect(check(signed, subsub + sub)).to.contain('self-signed');
    expect(check(signed, subsub + sub + root + root + root)).to.contain('at most 4');
    expect(check(signed, sub + root)).to.contain('not signed by the first');
  });

  for (const options of ['-newkey rsa:4096', '-newkey rsa:2048 -sha512'])
    it(`is an authority made with ${options}`, () => {
      newRoot('other', `${options} -days 10`);
      expect(check(signedBy('other'), file('other.crt'))).to.equal('accepted');
    });

  for (const curve of ['prime256v1', 'secp384r1', 'secp521r1'])
    it(`is an authority with a key on ${curve}`, () => {
      run(`ecparam -name ${curve} -genkey -noout -out other.key`);
      run('req -x509 -key other.key -out other.crt -subj /CN=other -days 10');
      expect(check(signedBy('other'), file('other.crt'))).to.equal('accepted');
    });

  it('is a signature by PSS', () => {
    const pss = '-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -sha256';
    newRoot('pss', `-newkey rsa:2048 -days 10 ${pss}`);
    expect(check(signedBy('pss', `-days 5 ${pss}`), file('pss.crt'))).to.equal('accepted');
  });

  it('is nothing with SHA-1, a short key or another curve', () => {
    expect(check(signedBy('root', '-days 5 -sha1'), file('root.crt'))).to.contain('SHA-224 to SHA-512');
    newRoot('weak', '-newkey rsa:2048 -sha1 -days 10');
    expect(check(signedBy('weak'), file('weak.crt'))).to.contain('SHA-224 to SHA-512');
    newRoot('short', '-newkey rsa:1024 -days 10');
    expect(check(signedBy('short'), file('short.crt'))).to.contain('RSA-1024');
    run('ecparam -name secp256k1 -genkey -noout -out other.key');
    run('req -x509 -key other.key -out other.crt -subj /CN=other -days 10');
    expect(check(signedBy('other'), file('other.crt'))).to.contain('EC-secp256k1');
  });

  it('is no authority that does not say that it is one', () => {
    writeFileSync(join(directory.path, 'req.cnf'), '[req]\ndistinguished_name=dn\n[dn]\n');
    newRoot('mute', '-config req.cnf -newkey rsa:2048 -days 10 -addext subjectKeyIdentifier=hash');
    expect(check(signedBy('mute'), file('mute.crt'))).to.contain('CA:TRUE');
    newRoot('end', '-config req.cnf -newkey rsa:2048 -days 10 -addext basicConstraints=CA:FALSE');
    expect(check(signedBy('end'), file('end.crt'))).to.contain('CA:TRUE');
    newRoot(
      'odd',
      `-config req.cnf -newkey rsa:2048 -days 10 -addext ${CA} -addext keyUsage=digitalSignature`,
    );
    expect(check(signedBy('odd'), file('odd.crt'))).to.contain('Key Usage');
  });

  it('is for the key that was asked for, from the authority that is given', () => {
    run('req -newkey rsa:2048 -nodes -keyout foreign.key -out foreign.csr -subj /CN=foreign');
    expect(check(signedBy('root', '-days 5', 'foreign.csr'), file('root.crt'))).to.contain('not for the key');
    newRoot('stranger');
    expect(check(signedBy('root'), file('stranger.crt'))).to.contain('not signed by the first');
  });

  it('is valid now', () => {
    const signed = signedBy('root');
    const DAY_MS = 86_400_000;
    expect(check(signed, file('root.crt'), Date.now() + 6 * DAY_MS)).to.contain('SignedCert is valid from');
    expect(check(signed, file('root.crt'), Date.now() + 11 * DAY_MS)).to.contain('TrustAnchor is valid from');
    expect(check(signed, file('root.crt'), Date.now() - DAY_MS)).to.contain('is valid from');
  });

  it('is PEM, one certificate, and nothing else', () => {
    const signed = signedBy('root');
    const root = file('root.crt');
    expect(check(signed + signed, root)).to.contain('one certificate');
    expect(check('', root)).to.contain('in PEM');
    expect(check(`text\n${signed}`, root)).to.contain('nothing else');
    expect(check(signed.replace(/^M.*$/m, 'AAAA'), root)).to.contain('not an X.509 certificate');
    expect(check(signed, '')).to.contain('in PEM');
    expect(check(signed, csr)).to.contain('in PEM');
    expect(check(signed, root + ' '.repeat(17_000))).to.contain('16384 bytes');
  });
});
