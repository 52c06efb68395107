/*
 * What cloudhsm_mgmt_util prints, word for word, with the spaces at line ends that were seen (reference management-tools,
 * section 4.1).
 */

export const E2E_IGNORED = 'Ignoring E2E enable flag in the configuration file';

export const CONNECTING = `
Connecting to the server(s), it may take time
depending on the server(s) load, please wait...
`;

export const CAUTION = `
*************************CAUTION********************************
This is a CRITICAL operation, should be done on all nodes in the
cluster. AWS does NOT synchronize these changes automatically with the${' '}
nodes on which this operation is not executed or failed, please${' '}
ensure this operation is executed on all nodes in the cluster.${'  '}
****************************************************************
`;

export const CONTINUE_QUESTION = 'Do you want to continue(y/n)?';
export const INVALID_ANSWER = "Invalid option, please type 'y' or 'n'\n";
export const DISCONNECTING = 'disconnecting from servers, please wait...';
export const PASSWORD_PROMPT = 'Enter password:';

/** Where a server's trust anchor is missing. */
export const withoutOwnerCertificate = (file: string, server: string): string => `${file},
partition owner certificate not exist at given path
${server} is in unencrypted mode now...
running in limited commands mode
Error: partition owner certificate doesn't exist at given path.
Failed to create client ssl ctx
E2E Session failed: E2E setup failed
Enabling E2E failed`;
