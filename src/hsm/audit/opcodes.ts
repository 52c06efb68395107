/*
 * The vocabulary of CloudHSM's audit log (reference management-tools, section 8.1).
 */

/** THE row per opcode that this HSM logs. Where the number is not public it is ours, from 0x1000 up [guess]. */
export const opcodes = {
  CN_INIT_TOKEN: 0x1,
  CN_CREATE_USER: 0x3,
  CN_CREATE_CO: 0x4,
  CN_CHANGE_PSWD: 0x9,
  CN_LOGIN: 0xd,
  CN_LOGOUT: 0xe,
  CN_DESTROY_OBJECT: 0x11,
  CN_SHARE_OBJECT: 0x12,
  CN_GENERATE_KEY: 0x17,
  CN_GENERATE_KEY_PAIR: 0x19,
  CN_WRAP_KEY: 0x1a,
  CN_UNWRAP_KEY: 0x1b,
  CN_GEN_PSWD_ENC_KEY: 0x1d,
  CN_NIST_AES_WRAP: 0x1e,
  CN_INIT_DONE: 0x95,
  CN_DELETE_USER: 0xa1,
  CN_EXTRACT_MASKED_OBJECT_USER: 0xf0,
  CN_INSERT_MASKED_OBJECT_USER: 0xf1,
  CN_CREATE_APPLIANCE_USER: 0xfc,
  CN_APP_FINALIZE: 0x1000,
  CN_CREATE_OBJECT: 0x1001,
  CN_MODIFY_OBJECT: 0x1002,
  CN_TOMBSTONE_OBJECT: 0x1003,
  CN_DERIVE_KEY: 0x1004,
  CN_SET_M_VALUE: 0x1005,
  CN_GET_TOKEN: 0x1006,
  CN_APPROVE_TOKEN: 0x1007,
  CN_DELETE_TOKEN: 0x1008,
  CN_REGISTER_MOFN_PUB_KEY: 0x1009,
  CN_BACKUP_BEGIN: 0x100a,
  CN_BACKUP_END: 0x100b,
  CN_RESTORE_BEGIN: 0x100c,
  CN_RESTORE_END: 0x100d,
  CN_CERT_AUTH_STORE_CERT: 0x100e,
  CN_CERT_AUTH_REMOVE_CERT: 0x100f,
  CN_SET_MTLS_ENFORCEMENT: 0x1010,
  CN_SET_TOKEN_TIMEOUT: 0x1011,
} as const;

export type Opcode = keyof typeof opcodes;

/** What kind of command an opcode is of, as logs have it. */
export const commandTypeOf = (opcode: Opcode): string =>
  opcode.startsWith('CN_CERT_AUTH_') ? 'CN_CERT_AUTH_CMD (0x9)' : 'CN_MGMT_CMD (0x0)';

export const logTypes = {
  MINIMAL_LOG_ENTRY: 0,
  MGMT_KEY_DETAILS_LOG: 1,
  MGMT_USER_DETAILS_LOG: 2,
  /** What a share is logged as. */
  UNKNOWN_LOG_TYPE: 5,
} as const;

export type LogType = keyof typeof logTypes;
