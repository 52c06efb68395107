import { expect } from 'chai';
import { BehaviourClient, useClient } from './client.js';

describe('what programs do to the module', function () {
  this.timeout(300_000);

  let client: BehaviourClient;

  useClient((started) => {
    client = started;
  });

  describe('processes, sessions and logins', () => {
    it('a forked child starts afresh and signs in 32 threads; its parent signs on (row 1)', async () => {
      expect(await client.play('fork')).to.deep.equal([
        'child C_Sign 0x190',
        'child C_Finalize 0x190',
        'child C_Initialize 0x0',
        "child, the parent's session 0xb3",
        'child C_Login 0x0',
        'child signs: 32 x 0x0',
        'child C_Finalize after 0x0',
        "parent's thread 0x0",
        'child ended 0',
        'parent C_Sign 0x0',
        'parent C_Finalize 0x0',
      ]);
    });

    it('of 50 threads one initialises, and the others are told so (row 2)', async () => {
      expect(await client.play('initialize')).to.deep.equal([
        'C_Initialize: 1 x 0x0, 49 x 0x191',
        'C_Finalize 0x0',
      ]);
    });

    it('atexit handlers that find the engine gone come to an end (row 3)', async () => {
      const mortal = await BehaviourClient.start();
      try {
        const lines = await mortal.play('at-exit', (line) =>
          line === 'kill it' ? mortal.engine.kill() : undefined,
        );
        expect(lines).to.deep.equal([
          'kill it',
          'C_CloseSession 0xb3',
          'C_CloseAllSessions 0x30',
          'C_Finalize 0x0',
        ]);
      } finally {
        await mortal.stop();
      }
    });

    it('100 times initialise, list, log in, finalise with sessions open (row 4)', async () => {
      expect(await client.play('cycle')).to.deep.equal(['100 cycles, 0 failures']);
    });

    it('the login ends with the last session, whichever logged in, and can be made again (row 4)', async () => {
      expect(await client.play('login-again')).to.deep.equal([
        'C_Login while logged in 0x100',
        'C_CloseSession of the one that logged in 0x0',
        'state of the other 3',
        'C_CloseSession of the last 0x0',
        'state of a new one 2',
        'C_Login again 0x0',
        'state then 3',
        'C_CloseAllSessions 0x0',
        'C_Login once more 0x0',
        'C_Finalize 0x0',
      ]);
    });

    it('a login that was under way when the last session closed logs nobody in (row 4)', async () => {
      // The first login with a password takes long enough to close a session meanwhile.
      await client.engine.kill();
      await client.engine.restart();
      expect(await client.play('close-login')).to.deep.equal([
        'C_CloseSession 0x0',
        'state of a new one 2',
        'C_Login 0x0',
        'C_Finalize 0x0',
      ]);
    });

    it('C_WaitForSlotEvent has no event, and C_Finalize wakes one that blocks (row 4)', async () => {
      expect(await client.play('events')).to.deep.equal([
        'C_WaitForSlotEvent(CKF_DONT_BLOCK) 0x8',
        'C_WaitForSlotEvent(reserved) 0x7',
        'C_WaitForSlotEvent blocked 0x190',
        'C_Finalize 0x0',
        'C_Initialize again 0x0',
        'C_Finalize again 0x0',
      ]);
    });

    it('of 16 threads that log in at once one does, and the others find it done (row 5)', async () => {
      expect(await client.play('logins')).to.deep.equal([
        'C_Login: 1 x 0x0, 15 x 0x100',
        'C_Logout 0x0',
        'C_Login again: 1 x 0x0, 15 x 0x100',
        'C_Finalize 0x0',
      ]);
    });

    it('signers are not disturbed by sessions that close beside them (row 5)', async () => {
      expect(await client.play('close')).to.deep.equal([
        'sign and close: 16 x 0x0',
        'objects +0',
        'C_Finalize 0x0',
      ]);
    });

    it('a session takes the keys with it that were being made when it closed (row 5)', async () => {
      expect(await client.play('close-generation')).to.deep.equal([
        'C_CloseSession 0x0',
        'objects +0',
        'C_Finalize 0x0',
      ]);
    });

    it('before login a search finds nothing, and a PIN needs its user; then the key is there (row 8)', async () => {
      expect(await client.play('before-login')).to.deep.equal([
        'before login 0',
        'C_SignInit 0x101',
        'PIN without a user 0xa0',
        'PIN with an empty user 0xa0',
        'CKU_SO 0x103',
        'C_Login 0x0',
        'after login 1',
        'C_Finalize 0x0',
      ]);
    });

    it('C_OpenSession takes neither in the strict profile', async () => {
      const strict = await BehaviourClient.start(['--profile', 'strict']);
      try {
        // "BP000: Notify callback function is not supported, please pass in NULL_PTR for both pApplication and Notify", and 0x7
        // (pkcs11-provider, issue 342, Client SDK 5 [seen]); that the pointer alone is refused too is from the words [guess].
        const lines = await strict.play('open');
        expect(lines.slice(0, 3)).to.deep.equal([
          'with both 0x7',
          'with a callback 0x7',
          'with a pointer 0x7',
        ]);
      } finally {
        await strict.stop();
      }
    });

    it('C_OpenSession takes a callback and a pointer; slot 1 does not exist (rows 6 and 7)', async () => {
      expect(await client.play('open')).to.deep.equal([
        'with both 0x0',
        'with a callback 0x0',
        'with a pointer 0x0',
        'C_GetSessionInfo 0x0',
        'slot 0x2000000000000001, flags 0x6, state 2',
        'slot 1 0x3',
        'without CKF_SERIAL_SESSION 0xb4',
        'C_Finalize 0x0',
      ]);
    });
  });

  it('an engine killed in mid-call costs that call and the sessions, no more (row 15)', async () => {
    const mortal = await BehaviourClient.start();
    let killed = 0;
    let failedAfterMs = Number.POSITIVE_INFINITY;
    try {
      const lines = await mortal.play('killed', (line) => {
        if (line === 'generating') {
          killed = performance.now();
          void mortal.engine.kill();
        }
        if (line.startsWith('C_GenerateKeyPair')) failedAfterMs = performance.now() - killed;
        return line === 'start it again' ? mortal.engine.restart() : undefined;
      });
      expect(lines).to.deep.equal([
        'generating',
        'C_GenerateKeyPair 0x30',
        'C_GetSessionInfo 0xb3',
        'C_Sign 0xb3',
        'C_GetSlotList 0x30',
        'C_OpenSession 0x30',
        'start it again',
        'old C_GetSessionInfo 0xb3',
        'old C_Sign 0xb3',
        'fresh state 2',
        'fresh C_Login 0x0',
        'fresh sessions sign: 8 x 0x0',
        'old C_CloseSession 0xb3',
        'C_Finalize 0x0',
      ]);
      // A second is what is promised; the rest is for a busy machine.
      expect(failedAfterMs).to.be.below(2000);
    } finally {
      await mortal.stop();
    }
  });
});
