/** Every bound of the program, in one place. A length that arrives from outside is compared with one of these
 * before anything is allocated for it. Sources are `reference` pages of CloudHSM unless another is named. */
export const limits = {
  /** One request or answer on a module's connection. Larger PKCS#11 arguments are refused by the module. */
  frameBytes: 64 * 1024 * 1024,
  /** Attributes in one template, and templates nested in templates (CKA_WRAP_TEMPLATE). */
  templateAttributes: 256,
  templateDepth: 2,
  /** One attribute's value. */
  attributeBytes: 1024 * 1024,
  /** What C_UnwrapKey takes; PKCS#8 of RSA-4096 has 2.4 KB. */
  wrappedKeyBytes: 16 * 1024,
  /** Structures in an array that a mechanism's parameter points at (CK_SP800_108_KDF_PARAMS). */
  parameterEntries: 32,
  /** What a multi-part operation that cannot be streamed (MAC, GCM) may collect in a session. */
  collectedBytes: 64 * 1024 * 1024,
  /** C_GenerateRandom in one call. */
  randomBytes: 16 * 1024 * 1024,
  /** An IV that an HSM makes: a block at most. */
  ivBytes: 16,
  /** "1,024 sessions per application". */
  sessionsPerApplication: 1024,
  /** Connections one application may open beside its first, a channel each. */
  channelsPerApplication: 1024,
  /** "900 client connections per cluster": an application counts once. */
  applications: 900,
  /** "after more than 5 wrong passwords the user is locked". */
  wrongPasswords: 5,
  passwordMinCharacters: 8,
  passwordMaxCharacters: 32,
  userNameMaxCharacters: 31,
  /** "Users: hsm2m 1,024" (hsm1 has fewer): so many a key can be shared with. */
  usersPerHsm: 1024,
  /** Of so many users a key remembers when it was shared with them last, or no longer. */
  markedUsers: 256,
  /** A public key that a user registers: RSA-2048 has 294. */
  publicKeyBytes: 1024,
  /** A trust anchor for mutual TLS with its chain: somewhat more than an HSM registers, which says so. */
  trustAnchorBytes: 16 * 1024,
  /** "An HSM keeps 1,024 tokens", and approvals that come with one. */
  quorumTokens: 1024,
  approvals: 64,
  /** Records of an HSM's audit log; the oldest go. */
  auditRecords: 100_000,
  /** Entries that wait for a disk that takes nothing, until nothing is done any more that has to be logged. */
  auditPending: 10_000,
  /** A PIN is `user:password`; the module accepts no longer text. */
  pinBytes: 1024,
  /** A request to an HSM or its answer: a module's, and what goes along with it. */
  hsmFrameBytes: 66 * 1024 * 1024,
  /** The same before anybody has logged in: enough for a login or a search. */
  hsmStrangerFrameBytes: 64 * 1024,
  /** A key on its way between HSMs: attributes, share list and material. */
  maskedObjectBytes: 4 * 1024 * 1024,
  /** Names on the wire: of a user, an HSM, a deviation, a return value. */
  nameBytes: 256,
  /** The text of a failure that an HSM answers. */
  failureTextBytes: 4096,
  /** Requests that one connection to an HSM may have under way; further ones wait. */
  hsmRequestsInFlight: 1024,
  /** Handles in the answer to one search. */
  foundObjects: 7_000_000,
  /** Types of key that a mechanism takes. */
  keyTypes: 64,
  /** Deviations that one command may have allowed. */
  deviationsPerCommand: 256,
  /** HSMs in one cluster: "28 HSMs per cluster". */
  hsmsPerCluster: 28,
  /** A request to the control plane: the largest legal one has two certificates or a policy, in JSON. */
  apiRequestBytes: 256 * 1024,
  apiHeaderBytes: 16 * 1024,
  /** A path that a module names: Linux's PATH_MAX. */
  pathBytes: 4096,
  /** cloudhsm-pkcs11.cfg. The module looks for its socket in as much of it. */
  configurationBytes: 64 * 1024,
  /** Clusters of one engine, and slots of one application: "4 per account and region (raisable)". */
  clusters: 16,
  /** The header of a backup, and what is inside of one: twenty times a full HSM of the largest keys there are. */
  backupHeaderBytes: 4096,
  backupStateBytes: 1024 * 1024 * 1024,
  /** sockaddr_un.sun_path without its terminator: 107 on Linux, 103 on macOS. */
  socketPathBytes: process.platform === 'darwin' ? 103 : 107,
} as const;
