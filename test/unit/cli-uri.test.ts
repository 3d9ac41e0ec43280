import { expect } from 'chai';
import { connectionUri, type UriParts } from '../../src/cli/uri';

const PAIR: UriParts = {
  owner: 'app',
  password: null,
  database: 'app',
  hosts: ['192.0.2.1:5432', '192.0.2.2:5433'],
  role: 'rw',
};

interface Row {
  readonly name: string;
  readonly parts: Partial<UriParts>;
  readonly expected: string;
}

const rows: readonly Row[] = [
  {
    name: 'names every server and asks for the primary',
    parts: {},
    expected:
      'postgresql://app@192.0.2.1:5432,192.0.2.2:5433/app?target_session_attrs=read-write&connect_timeout=2',
  },
  {
    name: 'prefers a standby for reading',
    parts: { role: 'ro' },
    expected:
      'postgresql://app@192.0.2.1:5432,192.0.2.2:5433/app?target_session_attrs=prefer-standby&connect_timeout=2',
  },
  {
    name: 'encodes whatever has a meaning in a URI or in a shell',
    parts: { hosts: ['h:1'], owner: 'a b', password: `p@:/?#[]%&='"!*()$`, database: 'ä/b' },
    expected:
      'postgresql://a%20b:p%40%3A%2F%3F%23%5B%5D%25%26%3D%27%22%21%2A%28%29%24@h:1/%C3%A4%2Fb?target_session_attrs=read-write&connect_timeout=2',
  },
  {
    name: 'puts an IPv6 address in brackets',
    parts: { hosts: ['fd00::1:5432', '[fd00::2]:5432'] },
    expected:
      'postgresql://app@[fd00::1]:5432,[fd00::2]:5432/app?target_session_attrs=read-write&connect_timeout=2',
  },
];

describe('connection URI', () => {
  for (const { name, parts, expected } of rows) {
    it(name, () => expect(connectionUri({ ...PAIR, ...parts })).to.equal(expected));
  }
});
