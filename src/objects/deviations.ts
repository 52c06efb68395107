import type { CkrName } from '../pkcs11/ckr.js';

/** `strict` answers as CloudHSM does; `compatible` accepts what programs commonly do and CloudHSM refuses. */
export type Profile = 'strict' | 'compatible';

/** What AWS's API answers in place of a result. */
type ApiError = 'CloudHsmInvalidRequestException';

/** One thing that the compatible profile accepts and CloudHSM does not. */
export interface Deviation<Answer extends string = CkrName | ApiError> {
  /** What the program does; goes on after its name. */
  readonly does: string;
  /** What CloudHSM answers; CKR_OK where the call succeeds with another result. */
  readonly answer: Answer;
  /** CloudHSM's own words, where clients see them. */
  readonly words?: string;
  /** Why CloudHSM answers so. */
  readonly because: string;
  /** Which programs do it, and why. */
  readonly why: string;
  /** What to change so that the program works with CloudHSM. */
  readonly fix: string;
  /** Section of the reference and its certainty, or of the standard where the reference guesses. */
  readonly source: string;
  /** The program may well work with CloudHSM as it is: it sees something else there, or the refusal is a guess. Reported, and
   * no reason to fail. */
  readonly advisory?: true;
}

/**
 * THE row per deviation. Nothing is accepted in one profile and refused in the other but through a row: `Gate` decides by
 * the row's id. Ids are stable: reports, logs and CI jobs name them.
 */
const callRows = {
  'read-only-session': {
    does: 'opens a read-only session',
    answer: 'CKR_FUNCTION_FAILED',
    because: 'CloudHSM opens read-write sessions only',
    why: 'a program that only reads or signs needs no more: pkcs11-tool, p11tool and libp11 (OpenSSL, nginx) do it',
    fix: 'set CKF_RW_SESSION in C_OpenSession',
    source: '5 [doc]',
  },
  'session-callback': {
    does: 'opens a session with pApplication or Notify',
    answer: 'CKR_ARGUMENTS_BAD',
    because: 'CloudHSM calls nobody back',
    why: 'NSS (certutil, Firefox) has a callback for tokens that are taken out; OpenSSL 3 with pkcs11-provider had one in 2024',
    fix: 'pass NULL for both in C_OpenSession',
    source: '5 is silent; a log of Client SDK 5 in issue 342 of pkcs11-provider [seen]',
  },
  'seed-random': {
    does: 'seeds the random number generator',
    answer: 'CKR_FUNCTION_NOT_SUPPORTED',
    because:
      'CloudHSM has no C_SeedRandom; here it answers CKR_RANDOM_SEED_NOT_SUPPORTED, which programs expect',
    why: "libraries pass the seed of their own interface on: Java's SecureRandom.setSeed does",
    fix: 'leave C_SeedRandom out: the HSM seeds itself',
    source: '3 [doc], the code [guess]',
  },
  'random-before-login': {
    does: 'asks for random bytes before C_Login',
    answer: 'CKR_USER_NOT_LOGGED_IN',
    because: 'HSMs of CloudHSM work for users who are logged in',
    why: 'the standard wants no login for it; OpenSSL seeds itself first',
    fix: 'log in before C_GenerateRandom, or take random bytes from the operating system',
    source: '5 [guess]',
    advisory: true,
  },
  'digest-parameter': {
    does: 'gives a digest a parameter',
    answer: 'CKR_MECHANISM_PARAM_INVALID',
    because: 'digests take none; whether CloudHSM looks at it nobody has said',
    why: 'PowerDNS leaves pParameter and ulParameterLen as they happen to be',
    fix: 'set pParameter to NULL and ulParameterLen to 0',
    source: '9.1 [doc], the code [guess] after the standard',
    advisory: true,
  },
  'wait-for-slot-event': {
    does: 'waits for a slot event',
    answer: 'CKR_FUNCTION_NOT_SUPPORTED',
    because: 'CloudHSM has no C_WaitForSlotEvent; here it answers that no slot has changed, or waits',
    why: 'desktop programs watch for smart cards',
    fix: 'do not wait: the slots of CloudHSM never change while a program runs',
    source: '3 [doc], the code [guess]',
  },
  'token-flags': {
    does: 'reads the flags of the token',
    answer: 'CKR_OK',
    because:
      'on CloudHSM CKF_USER_PIN_INITIALIZED is not among them, so libp11 (OpenSSL, nginx) does not log in by itself',
    why: 'every program that looks for its token reads them; few look at this flag',
    fix: "for OpenSSL's engine put FORCE_LOGIN = EMPTY into its section of openssl.cnf; others need nothing",
    source: '4 [seen]',
    advisory: true,
  },
  'private-false': {
    does: 'makes an object with CKA_PRIVATE FALSE',
    answer: 'CKR_ATTRIBUTE_VALUE_INVALID',
    because: 'all keys of CloudHSM are private, public keys too',
    why: 'pkcs11-tool and most others make public keys that can be read before C_Login',
    fix: 'leave CKA_PRIVATE out, or set it TRUE, and log in before looking for public keys',
    source: '11.1 [doc], 11.3 [seen]',
  },
  'sensitive-false': {
    does: 'makes a key with CKA_SENSITIVE FALSE',
    answer: 'CKR_ATTRIBUTE_VALUE_INVALID',
    because: 'the keys of CloudHSM are sensitive',
    why: 'to read the key later; pkcs11-tool does it unless it is told --sensitive',
    fix: 'leave CKA_SENSITIVE out, or set it TRUE; wrap keys that must leave the HSM',
    source: '11.2 [seen]',
  },
  'derived-sensitive-false': {
    does: 'derives a key with CKA_SENSITIVE FALSE',
    answer: 'CKR_ATTRIBUTE_VALUE_INVALID',
    because: 'CloudHSM sets CKA_SENSITIVE of derived keys itself',
    why: 'to read the shared secret: Java and OpenSSL do it in a TLS handshake',
    fix: 'leave CKA_SENSITIVE out of the template of C_DeriveKey, and use the derived key in the HSM',
    source:
      '11.2 [seen], where the code was met in C_DeriveKey (section 9 of the notes on native-pkcs11 for Besu, Client SDK 5.16); 11.1 [doc]',
  },
  'read-secret': {
    does: 'reads the secret of a key',
    answer: 'CKR_ATTRIBUTE_SENSITIVE',
    because: 'the keys of CloudHSM are sensitive',
    why: 'to export a key, or to use it in software',
    fix: 'use the key in the HSM; wrap it with C_WrapKey if it must leave',
    source: '11.2 [seen]',
  },
  'extra-attribute': {
    does: 'reads an attribute that the key would not have on CloudHSM',
    answer: 'CKR_ATTRIBUTE_TYPE_INVALID',
    because: 'CloudHSM keeps the attributes of its own table, by kind of key',
    why: 'programs that list keys read every flag, and take the refusal for FALSE',
    fix: 'read other attributes too when C_GetAttributeValue answers CKR_ATTRIBUTE_TYPE_INVALID: it has filled them in',
    source: '11.1, 11.3 [doc]',
    advisory: true,
  },
  'descriptive-attribute': {
    does: 'gives a key an attribute that keys of CloudHSM do not have (dates, CKA_SUBJECT, CKA_COPYABLE, …)',
    answer: 'CKR_ATTRIBUTE_TYPE_INVALID',
    because: 'CloudHSM does not know these attributes',
    why: 'Java, p11tool and pkcs11-tool describe keys with them',
    fix: 'leave the attribute out; keep what it says in CKA_LABEL or outside of the HSM',
    source: '11.2 [seen] for the dates, else [guess]',
  },
  'flag-without-use': {
    does: 'gives a key a flag that means nothing for its kind',
    answer: 'CKR_TEMPLATE_INCONSISTENT',
    because: "CloudHSM refuses flags that the key's kind does not have, even when they are FALSE",
    why: 'one template for all kinds of keys is shorter',
    fix: 'set only the flags of the kind: see "Supported attributes" in the user guide of CloudHSM',
    source: '11.1, 11.3 [doc]',
  },
  'recover-flag': {
    does: 'gives a key CKA_SIGN_RECOVER or CKA_VERIFY_RECOVER',
    answer: 'CKR_TEMPLATE_INCONSISTENT',
    because: 'CloudHSM has no signatures with recovery since Client SDK 5',
    why: 'OpenSC, OpenSSL and Java set every flag an RSA key can have',
    fix: 'leave the two attributes out',
    source: '11.3 [seen]',
  },
  'derive-on-public-key': {
    does: 'gives a public key CKA_DERIVE TRUE',
    answer: 'CKR_ATTRIBUTE_VALUE_INVALID',
    because: 'keys are derived with private and secret keys',
    why: 'pkcs11-tool and Java set it on both halves of an EC pair',
    fix: 'set CKA_DERIVE on the private key only',
    source: '11.2 [seen]',
  },
  'key-part-repeated': {
    does: 'states in a template what the key itself says (CKA_EC_PARAMS, CKA_VALUE_LEN, CKA_MODULUS, …)',
    answer: 'CKR_TEMPLATE_INCONSISTENT',
    because: 'CloudHSM takes these attributes only where it needs them',
    why: 'GnuTLS and Java repeat them in the private template, or on import',
    fix: 'leave the attribute out of this template',
    source: '11.1, 11.3 [doc]',
  },
  'default-public-exponent': {
    does: 'makes an RSA pair without CKA_PUBLIC_EXPONENT',
    answer: 'CKR_TEMPLATE_INCOMPLETE',
    because: 'CloudHSM wants it stated',
    why: 'the standard lets the token choose 65537',
    fix: 'put CKA_PUBLIC_EXPONENT 01 00 01 into the public template',
    source: '11.1, 11.3 [doc]',
  },
  'search-private-false': {
    does: 'looks for keys with CKA_PRIVATE FALSE',
    answer: 'CKR_OK',
    because: 'all keys of CloudHSM are private: such a search finds none',
    why: 'p11-kit and Java look for public keys so',
    fix: 'leave CKA_PRIVATE out of the search and look for CKA_CLASS CKO_PUBLIC_KEY, after C_Login',
    source: '13 [guess]',
  },
  'search-empty-label': {
    does: 'looks for keys with an empty CKA_LABEL',
    answer: 'CKR_TEMPLATE_INCONSISTENT',
    because: 'CloudHSM searches for no empty label, though keys without a label have one',
    why: 'programs look for the other half of a pair by what the first half says of itself',
    fix: 'leave an empty CKA_LABEL out of the search, or give every key a label',
    source:
      '13 is silent; crypto11 goes on without the label for this code of library 2.0.4 [seen], Client SDK 5 [guess]',
    advisory: true,
  },
  'search-certificate-type': {
    does: 'looks for certificates by CKA_CERTIFICATE_TYPE',
    answer: 'CKR_ATTRIBUTE_TYPE_INVALID',
    because: 'CloudHSM has no certificates until it is told to store them, and no such attribute',
    why: 'programs ask for X.509 certificates at start, to see what there is: p11-kit, GnuTLS and the Java library of IAIK do',
    fix: 'look for CKA_CLASS CKO_CERTIFICATE only, or take a failure for none; or enable certificate storage',
    source:
      '13 guesses CKR_OK for a search by CKA_CLASS; XiPKI has met that this one fails (commit c356efe4, December 2022) [seen], the code and versions since 5.13 [guess]',
    advisory: true,
  },
  'duplicate-id': {
    does: 'gives a key a CKA_ID that another key of its class has',
    answer: 'CKR_ATTRIBUTE_VALUE_INVALID',
    because: 'a CKA_ID is unique in the cluster, within its class',
    why: 'the id is typed in by hand, or the same on every run',
    fix: 'choose an id that is free, or destroy the old key first',
    source: '7 [doc][seen], the class [guess], the code [guess] after 11.3',
  },
  'long-label': {
    does: 'gives a key a label of more than 127 characters',
    answer: 'CKR_ATTRIBUTE_VALUE_INVALID',
    because: 'a label of CloudHSM has 127 characters at most',
    why: 'the label holds a description, a URL or a certificate subject',
    fix: 'shorten the label, and keep what it says outside of the HSM',
    source: '15 [doc] for certificates; for keys of this library and for the code [guess]',
  },
  'certificate-storage': {
    does: 'stores or finds a certificate',
    answer: 'CKR_TEMPLATE_INCONSISTENT',
    because:
      'CloudHSM keeps no certificates until it is told to, with `configure-pkcs11 --enable-certificate-storage` on hsm2m.medium',
    why: 'Java, GnuTLS and pkcs11-tool keep certificates beside their keys',
    fix: 'enable it there, and here with "certificateStorage": true in the configuration; or keep certificates in files',
    source: '15 [doc], the code [guess]',
  },
  'session-wrapping-key': {
    does: 'wraps with a session key',
    answer: 'CKR_KEY_HANDLE_INVALID',
    because: 'CloudHSM wraps with token keys',
    why: 'a wrapping key that was agreed on a moment ago need not be kept',
    fix: 'make the wrapping key with CKA_TOKEN TRUE, and destroy it when it has served',
    source: '9.5 [seen]',
  },
  'set-key-attribute': {
    does: 'changes an attribute of a key',
    answer: 'CKR_FUNCTION_NOT_SUPPORTED',
    because: 'C_SetAttributeValue of CloudHSM is for certificates',
    why: 'keytool and p11tool label keys after they have made them',
    fix: "put the attribute into the template that makes the key, or use CloudHSM CLI's `key set-attribute`",
    source: "3 [doc], the code in a comment of krill's signer [seen]",
  },
  'weak-ecdsa-hash': {
    does: 'signs with a hash that is weaker than the curve',
    answer: 'CKR_KEY_SIZE_RANGE',
    because: 'an hsm2m.medium takes no less than SHA-384 for P-384 and SHA-512 for P-521',
    why: 'SHA-256 is what programs take when they are not told otherwise; pkcs11-tool does',
    fix: "take the curve's own hash, or hash in the program and sign with CKM_ECDSA",
    source: '9.2, 17 [seen], the code [guess]',
  },
  'long-part': {
    does: 'encrypts or decrypts a part that is longer than one request to an HSM',
    answer: 'CKR_DATA_LEN_RANGE',
    because: 'a request holds about 16 KB',
    why: 'Java gives all its data in one part',
    fix: 'split the data: 16,000 bytes a part are within every bound',
    source: '9.3 [doc], that it holds for parts [guess]',
  },
  'copy-object': {
    does: 'copies an object',
    answer: 'CKR_FUNCTION_NOT_SUPPORTED',
    because: 'CloudHSM has no C_CopyObject',
    why: "Java's KeyStore copies a session key to the token",
    fix: 'make the key with CKA_TOKEN TRUE and its final label and id at once',
    source: '3 [doc], the code [guess]',
  },
  'gcm-caller-iv': {
    does: 'encrypts with AES-GCM and an IV of its own',
    answer: 'CKR_MECHANISM_PARAM_INVALID',
    because:
      'FIPS 140 wants the IV from the HSM: CloudHSM takes 12 zero bytes in pIv and writes the IV there',
    why: 'with other HSMs the caller makes the IV',
    fix: 'pass 12 zero bytes as pIv and read the IV from there after C_Encrypt, or use CKM_CLOUDHSM_AES_GCM',
    source: '9.4 [doc][seen]',
  },
  'oaep-source-pointer': {
    does: 'gives RSA-OAEP a pSourceData that is not NULL, of no bytes',
    answer: 'CKR_MECHANISM_PARAM_INVALID',
    because: 'CloudHSM takes no OAEP label, and wants pSourceData NULL',
    why: 'SoftHSM wants a pointer there, so programs that were tested with it pass one',
    fix: 'pass NULL and 0 as pSourceData and ulSourceDataLen',
    source: '9.6 is silent; the tests that the KMS of Cosmian runs against CloudHSM [seen], the code [guess]',
  },
  'single-part-mechanism': {
    does: 'gives data in parts to a mechanism that takes it whole (AES-GCM, RSA, CKM_ECDSA)',
    answer: 'CKR_MECHANISM_INVALID',
    because: 'CloudHSM has no Update for these mechanisms',
    why: 'streaming interfaces (Java, OpenSSL) do not know how much there is',
    fix: 'collect the data and call C_Encrypt, C_Decrypt, C_Sign or C_Verify once; split long data into messages of their own',
    source: '9.4 [doc] for AES-GCM, 9.1 and the code [guess] for the others',
  },
  'key-availability-one-hsm': {
    does: 'makes or uses a token key in a cluster of one HSM',
    answer: 'CKR_FUNCTION_FAILED',
    because: 'token keys must be on at least two HSMs before they are used',
    why: 'one HSM is cheaper, and enough to try things out',
    fix: 'give the cluster a second HSM, or switch the key availability check off, at the risk of losing keys with their HSM',
    source: '14.1 [doc]',
  },
} as const satisfies Record<string, Deviation<CkrName>>;

/** The same for requests to the cloudhsmv2 API. */
const apiRows = {
  'hsm1-cluster': {
    does: 'creates a cluster of hsm1.medium',
    answer: 'CloudHsmInvalidRequestException',
    words: 'Provided HsmType is not supported.',
    because: 'AWS creates no clusters of hsm1.medium since April 2025, neither new ones nor from backups',
    why: 'guides and scripts that were written before say so',
    fix: 'create the cluster with HsmType hsm2m.medium and a Mode: backups of hsm1.medium are restored there, too',
    source: '5 [doc] of the reference on the control plane, the words [seen]; from backups [guess]',
  },
} as const satisfies Record<string, Deviation<ApiError> & { readonly words: string }>;

export type CallDeviationId = keyof typeof callRows;
export type ApiDeviationId = keyof typeof apiRows;
export type DeviationId = CallDeviationId | ApiDeviationId;

export const callDeviations: { readonly [Id in CallDeviationId]: Deviation<CkrName> } = callRows;
export const apiDeviations: {
  readonly [Id in ApiDeviationId]: Deviation<ApiError> & { readonly words: string };
} = apiRows;
export const deviations: { readonly [Id in DeviationId]: Deviation } = { ...callRows, ...apiRows };

export const callDeviationIds = Object.keys(callRows) as readonly CallDeviationId[];
export const apiDeviationIds = Object.keys(apiRows) as readonly ApiDeviationId[];
export const deviationIds: readonly DeviationId[] = [...callDeviationIds, ...apiDeviationIds];

export function isDeviationId(text: string): text is DeviationId {
  return Object.hasOwn(deviations, text);
}
