import { expect } from 'chai';
import { parseLibpqUri, type LibpqUri } from '../support/libpq-uri';

const plain: LibpqUri = {
  hosts: [{ host: 'a', port: 5432 }],
  user: null,
  password: null,
  database: null,
  targetSessionAttributes: 'any',
  connectTimeoutMs: null,
  parameters: {},
};

const readable: readonly {
  readonly name: string;
  readonly text: string;
  readonly is: Partial<LibpqUri>;
}[] = [
  { name: 'one host and nothing else', text: 'postgresql://a', is: {} },
  { name: 'the short scheme', text: 'postgres://a/', is: {} },
  {
    name: 'as `pgswarm connect` prints it',
    text: 'postgresql://app:s3cret@10.1.1.1:5432,10.1.1.2:5433/app?target_session_attrs=read-write&connect_timeout=2',
    is: {
      hosts: [
        { host: '10.1.1.1', port: 5432 },
        { host: '10.1.1.2', port: 5433 },
      ],
      user: 'app',
      password: 's3cret',
      database: 'app',
      targetSessionAttributes: 'read-write',
      connectTimeoutMs: 2000,
      parameters: { target_session_attrs: 'read-write', connect_timeout: '2' },
    },
  },
  {
    name: 'a host without a port among others',
    text: 'postgresql://a:1,b,c:3/x',
    is: {
      hosts: [
        { host: 'a', port: 1 },
        { host: 'b', port: 5432 },
        { host: 'c', port: 3 },
      ],
      database: 'x',
    },
  },
  {
    name: 'an IPv6 address',
    text: 'postgresql://[fd00::1]:6000,[fd00::2]',
    is: {
      hosts: [
        { host: 'fd00::1', port: 6000 },
        { host: 'fd00::2', port: 5432 },
      ],
    },
  },
  {
    name: 'percent signs in user, password and database',
    text: 'postgresql://a%40b:p%3Aq%2Fr%25@a/my%20db',
    is: { user: 'a@b', password: 'p:q/r%', database: 'my db' },
  },
  {
    name: 'a colon in the password',
    text: 'postgresql://u:p:q@a',
    is: { user: 'u', password: 'p:q' },
  },
  {
    name: 'a plus, which is no space here, and an equals sign in a value',
    text: 'postgresql://a?application_name=x+y&options=-c%20a=b',
    is: { parameters: { application_name: 'x+y', options: '-c a=b' } },
  },
  {
    name: 'a timeout of 0, which is none',
    text: 'postgresql://a?connect_timeout=0',
    is: { parameters: { connect_timeout: '0' } },
  },
];

const unreadable = [
  { name: 'another scheme', text: 'mysql://a/b', says: /not a libpq URI/ },
  { name: 'no host', text: 'postgresql:///app', says: /names its hosts/ },
  { name: 'an empty host among others', text: 'postgresql://a,,b/app', says: /names its hosts/ },
  { name: 'port 0', text: 'postgresql://a:0', says: /no port 0/ },
  { name: 'a port that is too high', text: 'postgresql://a:65536', says: /no port 65536/ },
  {
    name: 'an unknown target',
    text: 'postgresql://a?target_session_attrs=writable',
    says: /target_session_attrs=writable/,
  },
  { name: 'a timeout in words', text: 'postgresql://a?connect_timeout=soon', says: /soon/ },
];

describe('libpq URI', () => {
  for (const { name, text, is } of readable) {
    it(`reads ${name}`, () => {
      expect(parseLibpqUri(text)).to.deep.equal({ ...plain, ...is });
    });
  }

  for (const { name, text, says } of unreadable) {
    it(`refuses ${name}`, () => {
      expect(() => parseLibpqUri(text)).to.throw(says);
    });
  }

  it('does not repeat a password when it refuses', () => {
    expect(() => parseLibpqUri('app:s3cret@a/b')).to.throw(/^(?!.*s3cret)/);
  });
});
