import { expect } from 'chai';
import { calls } from '../../../src/wire/calls.js';
import { BehaviourClient, useClient } from './client.js';

describe('what programs do to the module', function () {
  this.timeout(300_000);

  let client: BehaviourClient;

  useClient((started) => {
    client = started;
  });

  describe('functions', () => {
    it('all but C_Initialize and C_GetFunctionList need C_Initialize, in a child its own (row 1)', async () => {
      const lines = await client.play('uninitialized');
      const names = calls
        .map(({ name }) => name as string)
        .filter((name) => name !== 'C_Initialize' && name !== 'C_GetFunctionList');
      expect(names).to.have.length(66);
      const answers = names.map((name) => `${name} 0x190`).sort();
      const from = (title: string): string[] => {
        const begin = lines.indexOf(title) + 1;
        return lines.slice(begin, begin + names.length).sort();
      };
      expect(lines).to.have.length(3 * (1 + names.length));
      for (const title of ['before', 'child', 'after']) expect(from(title), title).to.deep.equal(answers);
    });

    it('what CloudHSM does not have says so', async () => {
      const unsupported = [
        'C_InitToken',
        'C_InitPIN',
        'C_SetPIN',
        'C_GetOperationState',
        'C_SetOperationState',
        'C_GetObjectSize',
        'C_DigestKey',
        'C_SignRecoverInit',
        'C_SignRecover',
        'C_VerifyRecoverInit',
        'C_VerifyRecover',
        'C_DigestEncryptUpdate',
        'C_DecryptDigestUpdate',
        'C_SignEncryptUpdate',
        'C_DecryptVerifyUpdate',
      ];
      expect(await client.play('unsupported')).to.deep.equal([
        ...unsupported.map((name) => `${name} 0x54`),
        // The standard has a code of its own for this one (v2.40 base, 5.15).
        'C_SeedRandom 0x120',
        'C_GetFunctionStatus 0x51',
        'C_CancelFunction 0x51',
        // Whatever they are given: nobody looks at the arguments of a function that is not there.
        ...unsupported.filter((name) => name !== 'C_DigestKey').map((name) => `${name} 0x54`),
        'C_Finalize 0x0',
      ]);
    });

    it('nor has it, in the strict profile, what the standard has a friendlier code for', async () => {
      const strict = await BehaviourClient.start(['--profile', 'strict']);
      try {
        const lines = await strict.play('unsupported');
        expect(lines).to.include('C_SeedRandom 0x54');
        // "AWS's choice unknown" (reference section 3): the standard's.
        expect(lines).to.include('C_GetFunctionStatus 0x51').and.to.include('C_CancelFunction 0x51');
      } finally {
        await strict.stop();
      }
    });

    it('an output, or data, that is NULL is CKR_ARGUMENTS_BAD, and creates nothing', async () => {
      const lines = await client.play('null');
      const answers = lines.filter((line) => line.startsWith('C_') && line !== 'C_Finalize 0x0');
      expect(answers).to.have.length(46);
      expect(answers.filter((line) => !line.endsWith(' 0x7'))).to.deep.equal([]);
      expect(lines.slice(-2)).to.deep.equal(['objects +0', 'C_Finalize 0x0']);
    });
  });
});
