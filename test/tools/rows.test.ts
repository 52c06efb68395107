import { expect } from 'chai';
import {
  flag,
  integer,
  many,
  oneOf,
  optional,
  required,
  rowsFor,
  secret,
} from '../../src/tools/command-row.js';
import { helpText } from '../../src/tools/help.js';
import { parseWords, splitWords } from '../../src/tools/parsing.js';

const command = rowsFor<undefined, unknown>();
const rows = [
  command({
    path: ['user', 'create'],
    help: 'Create a user',
    roles: ['CO'],
    options: {
      username: required('USERNAME', 'Who'),
      role: required('ROLE', 'What', oneOf('admin', 'crypto-user')),
      password: secret('PASSWORD', 'Asked for otherwise'),
    },
    run: async (_context, values) => values,
  }),
  command({
    path: ['key', 'list'],
    help: 'List keys',
    roles: ['CU'],
    options: {
      filter: many('FILTER', 'Which'),
      'max-items': optional('N', 'How many', integer(1, 100)),
      verbose: { ...flag('All of it'), short: 'v' },
    },
    run: async (_context, values) => values,
  }),
  command({
    path: ['key', 'list', 'all'],
    help: 'List all keys',
    roles: [],
    options: { token: required('FILE', 'Where') },
    run: async (_context, values) => values,
  }),
];

function valuesOf(line: string): unknown {
  const parsed = parseWords(rows, splitWords(line));
  if (parsed.is === 'help') return parsed.path;
  return [parsed.row.path.join(' '), parsed.values];
}

describe("a tool's commands", () => {
  it('are read from words in any order, by the types of their options', () => {
    expect(valuesOf('user create --role admin --username "bob"')).to.deep.equal([
      'user create',
      { username: 'bob', role: 'admin', password: undefined },
    ]);
    expect(valuesOf('key list --filter attr.label="my key" attr.class=x --verbose --filter c')).to.deep.equal(
      [
        'key list',
        { filter: ['attr.label=my key', 'attr.class=x', 'c'], 'max-items': undefined, verbose: true },
      ],
    );
    expect(valuesOf('key list --max-items=7')).to.deep.include.members(['key list']);
    expect(valuesOf('key list -v')).to.deep.equal([
      'key list',
      { filter: [], 'max-items': undefined, verbose: true },
    ]);
  });

  it('take a value that begins with a dash behind an equals sign, an empty one in quotes', () => {
    expect(valuesOf("user create --username '' --role admin --password=-x-")).to.deep.equal([
      'user create',
      { username: '', role: 'admin', password: '-x-' },
    ]);
  });

  it('may stand behind the options of the one they belong to', () => {
    expect(valuesOf('key list all --token f')).to.deep.equal(['key list all', { token: 'f' }]);
    expect(valuesOf('key --token f list all')).to.deep.equal(['key list all', { token: 'f' }]);
  });

  it('do not quote what may be the rest of a password', () => {
    for (const line of [
      'user create --username b --role admin --password my secret',
      'user create --password=my secret --username b --role admin',
      'user create --password my secret words --username b --role admin',
    ])
      expect(() => valuesOf(line), line)
        .to.throw(`'--password' takes one word`)
        .with.property('message')
        .not.matches(/secret|words/);
    expect(valuesOf('user --password x create --username b --role admin')).to.include('user create');
  });

  for (const [line, problem] of [
    ['', 'a command is missing'],
    ['user destroy', "unrecognized subcommand 'destroy'"],
    ['user', "'user' requires a subcommand"],
    ['key --filter x list', "'key' requires a subcommand"],
    ['user create extra --username b --role admin', "unrecognized subcommand 'extra'"],
    ['user create', '--username <USERNAME>\n  --role <ROLE>'],
    ['user create --username b --role king', 'possible values: admin, crypto-user'],
    ['user create --username b --username c --role admin', 'multiple times'],
    ['user create --username', 'a value is required'],
    ['user create --filter x --username b --role admin', "unexpected argument '--filter'"],
    ['key list --verbose=yes', 'takes no value'],
    ['key list --max-items 0', '1 to 100'],
    ['key list --max-items 1e1', '1 to 100'],
    ['key list --max-items \u001b[31m', "'?[31m'"],
    ['key list "x', 'does not end'],
    ['key list --toString', "unexpected argument '--toString'"],
    ['key list -verbose', "unexpected argument '-verbose'"],
    ['key list --v', "unexpected argument '--v'"],
    ['key list -v --verbose', 'multiple times'],
    ['help user destroy', "unrecognized subcommand 'destroy'"],
    ['nonsense --help', "unrecognized subcommand 'nonsense'"],
  ] as const) {
    it(`are refused with a reason: ${JSON.stringify(line)}`, () => {
      expect(() => valuesOf(line))
        .to.throw(problem)
        .with.property('code', 'USAGE');
    });
  }

  it('never repeat a password in what they complain about', () => {
    expect(() => valuesOf('user create --password s3cret-word --role admin')).to.throw(/^(?!.*s3cret)/s);
  });

  it('have help that is made of their rows', () => {
    expect(valuesOf('help user create')).to.deep.equal(['user', 'create']);
    expect(valuesOf('user help create')).to.deep.equal(['user', 'create']);
    expect(valuesOf('user create -h')).to.deep.equal(['user', 'create']);
    const text = helpText({ tool: 'tool', about: 'A tool', rows, groups: { key: 'Keys' }, common: {} }, [
      'key',
    ]);
    expect(text.split('\n')).to.deep.equal([
      'Keys',
      '',
      'Usage: tool key <COMMAND>',
      '',
      'Commands:',
      '  list  List keys',
      '  help  Print this message or the help of the given subcommand(s)',
      '',
      'Options:',
      '  -h, --help  Print help',
    ]);
  });
});
