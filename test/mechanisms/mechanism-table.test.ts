import { expect } from 'chai';
import { hasMessageAlgorithm } from '../../src/crypto/index.js';
import { mechanismsOf } from '../../src/mechanisms/mechanism-table.js';
import { CKF } from '../../src/pkcs11/constants.js';
import { CKM, mechanismName } from '../../src/pkcs11/mechanisms.js';

const hsm1 = mechanismsOf({ hsmType: 'hsm1.medium', mode: 'FIPS' });
const fips = mechanismsOf({ hsmType: 'hsm2m.medium', mode: 'FIPS' });
const nonFips = mechanismsOf({ hsmType: 'hsm2m.medium', mode: 'NON_FIPS' });

describe('the mechanisms of a cluster', () => {
  // Reference sections 9.1 and 9.2.
  it('are fewer in FIPS mode, by Triple DES keys, encryption with it, and PKCS#1 v1.5 encryption', () => {
    const missing = nonFips.list.filter((type) => !fips.list.includes(type));
    expect(missing.map(mechanismName)).to.include('CKM_DES3_KEY_GEN');
    expect(fips.info(CKM.CKM_DES3_CBC).flags).to.equal(CKF.CKF_HW | CKF.CKF_DECRYPT);
    expect(nonFips.info(CKM.CKM_DES3_CBC).flags).to.equal(CKF.CKF_HW | CKF.CKF_DECRYPT | CKF.CKF_ENCRYPT);
    const signs = CKF.CKF_HW | CKF.CKF_SIGN | CKF.CKF_VERIFY;
    expect(fips.info(CKM.CKM_RSA_PKCS).flags).to.equal(signs);
    expect(nonFips.info(CKM.CKM_RSA_PKCS).flags & (CKF.CKF_ENCRYPT | CKF.CKF_DECRYPT)).not.to.equal(0);
  });

  it('that are not there have no information either', () => {
    expect(() => fips.info(CKM.CKM_DES3_KEY_GEN))
      .to.throw('FIPS')
      .with.property('code', 'CKR_MECHANISM_INVALID');
    // CKM_MD5, CKM_AES_KEY_WRAP, CKM_EDDSA of the standard.
    for (const type of [0x210, 0x2109, 0x1057]) {
      expect(() => nonFips.info(type))
        .to.throw()
        .with.property('code', 'CKR_MECHANISM_INVALID');
      expect(nonFips.list).not.to.include(type);
    }
  });

  it('that CloudHSM has and Node has not are refused with that reason', () => {
    const type = CKM.CKM_CLOUDHSM_ML_DSA;
    if (hasMessageAlgorithm('ML-DSA-44', 'pure')) expect(fips.list).to.include(type);
    else
      expect(() => fips.info(type))
        .to.throw('run cloudhsm-local with Node 24')
        .with.property('code', 'CKR_MECHANISM_INVALID');
    expect(() => fips.info(0x210)).to.throw('CloudHSM has no mechanism');
  });

  // Reference section 9.9, a guess that follows the standard.
  it('say their key sizes in bits or bytes as the standard does', () => {
    const sizes = (type: number): [number, number] => {
      const { ulMinKeySize, ulMaxKeySize } = nonFips.info(type);
      return [ulMinKeySize, ulMaxKeySize];
    };
    expect(sizes(CKM.CKM_RSA_X9_31_KEY_PAIR_GEN)).to.deep.equal([2048, 4096]);
    expect(sizes(CKM.CKM_RSA_X_509)).to.deep.equal([2048, 4096]);
    expect(sizes(CKM.CKM_ECDSA)).to.deep.equal([224, 521]);
    expect(sizes(CKM.CKM_AES_CMAC)).to.deep.equal([16, 32]);
    expect(sizes(CKM.CKM_DES3_ECB)).to.deep.equal([24, 24]);
    expect(sizes(CKM.CKM_SHA512_HMAC)).to.deep.equal([1, 800]);
    expect(sizes(CKM.CKM_SHA256)).to.deep.equal([0, 0]);
    const curveFlags = CKF.CKF_EC_F_P | CKF.CKF_EC_NAMEDCURVE | CKF.CKF_EC_UNCOMPRESS;
    expect(nonFips.info(CKM.CKM_ECDSA_SHA256).flags & curveFlags).to.equal(curveFlags);
    expect(nonFips.info(CKM.CKM_SHA256).flags & CKF.CKF_HW).to.equal(0);
  });

  it('are the same on hsm1.medium as in a FIPS cluster of hsm2m.medium, but for those that came later', () => {
    expect(hsm1.list.filter((type) => !fips.list.includes(type))).to.deep.equal([]);
  });
});
