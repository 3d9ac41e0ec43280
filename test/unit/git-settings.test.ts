import { expect } from 'chai';
import { isSsh, parseGitSettings } from '../../src/core/git/settings';

const parse = (
  environment: Readonly<Record<string, string>>,
): ReturnType<typeof parseGitSettings> =>
  parseGitSettings(
    Object.fromEntries(
      Object.entries(environment).map(([name, value]) => [`PGSWARM_GIT_${name}`, value]),
    ),
  );

const REPOSITORY = 'https://git.example.com/team/fleet.git';

describe('the settings of the Git repository', () => {
  it('are none without a repository', () => {
    expect(parse({ BRANCH: 'main', REPOSITORY: ' ' })).to.deep.equal({ kind: 'none' });
  });

  it('have defaults', () => {
    expect(parse({ REPOSITORY })).to.deep.equal({
      kind: 'settings',
      settings: {
        repository: REPOSITORY,
        branch: 'main',
        path: '',
        pollMs: 30_000,
        tokenFile: null,
        sshKeyFile: null,
        knownHostsFile: null,
        webhook: null,
        statusUrl: null,
        statusHeaderFile: null,
      },
    });
  });

  it('take what was given', () => {
    const parsed = parse({
      REPOSITORY,
      BRANCH: 'release/1.x',
      PATH: './clusters/prod/',
      POLL: '2s',
      TOKEN_FILE: '/run/secrets/token',
      WEBHOOK_SECRET_FILE: '/run/secrets/hook',
    });
    expect(parsed).to.deep.nested.include({
      'settings.branch': 'release/1.x',
      'settings.path': 'clusters/prod',
      'settings.pollMs': 2_000,
      'settings.webhook': { port: 7703, secretFile: '/run/secrets/hook' },
    });
  });

  const keys = { SSH_KEY_FILE: '/run/secrets/key', KNOWN_HOSTS_FILE: '/run/secrets/hosts' };
  const SOUND: readonly Record<string, string>[] = [
    { REPOSITORY: '/srv/fleet.git' },
    { REPOSITORY: 'git://git.example.com/fleet.git' },
    { REPOSITORY: 'file:///srv/fleet.git' },
    { REPOSITORY: 'https://deploy@git.example.com/fleet.git', TOKEN_FILE: '/run/secrets/token' },
    { REPOSITORY: 'http://127.0.0.1:8080/fleet.git', TOKEN_FILE: '/run/secrets/token' },
    { REPOSITORY: 'http://me@localhost/fleet.git', TOKEN_FILE: '/run/secrets/token' },
    { REPOSITORY: 'http://git.example.com/fleet.git' },
    { REPOSITORY: 'git@git.example.com:team/fleet.git', ...keys },
    { REPOSITORY: 'ssh://git@git.example.com:2222/fleet.git', ...keys },
  ];
  for (const environment of SOUND) {
    it(`are sound with ${environment['REPOSITORY']!}`, () => {
      expect(parse(environment).kind).to.equal('settings');
    });
  }

  const FAULTS: readonly (readonly [Record<string, string>, RegExp])[] = [
    [{ REPOSITORY: 'https://me:hunter2@git.example.com/fleet.git' }, /has a password in it/],
    [{ REPOSITORY: 'https://ghp_hunter2@git.example.com/fleet.git' }, /if it is a token/],
    [{ REPOSITORY: 'https://me:hun@ter2@git.example.com/fleet.git' }, /^(?!.*ter2).*not a repo/],
    [{ REPOSITORY: '--upload-pack=touch /tmp/x' }, /is not a repository/],
    [{ REPOSITORY: 'ext::sh -c true' }, /is not a repository/],
    [{ REPOSITORY: 'fleet' }, /is not a repository/],
    [{ REPOSITORY, BRANCH: '--force' }, /not a branch/],
    [{ REPOSITORY, BRANCH: 'a..b' }, /not a branch/],
    [{ REPOSITORY, BRANCH: 'main:other' }, /not a branch/],
    [{ REPOSITORY, PATH: '../etc' }, /leads out/],
    [{ REPOSITORY, POLL: '2' }, /PGSWARM_GIT_POLL.*unit/],
    [{ REPOSITORY, WEBHOOK_SECRET_FILE: '/x', WEBHOOK_PORT: '70000' }, /1 to 65535/],
    [{ REPOSITORY, STATUS_URL: 'ftp://example.com/' }, /http:\/\/ or https/],
    [{ REPOSITORY: 'git@git.example.com:fleet.git' }, /both PGSWARM_GIT_SSH_KEY_FILE/],
    [{ REPOSITORY: '/srv/fleet.git', TOKEN_FILE: '/x' }, /for https/],
    [{ REPOSITORY: 'http://git.example.com/fleet.git', TOKEN_FILE: '/x' }, /write https:/],
    [{ REPOSITORY: 'http://localhost@git.example.com/x.git', TOKEN_FILE: '/x' }, /write https:/],
    [{ REPOSITORY: 'http://localhost.example.com/x.git', TOKEN_FILE: '/x' }, /write https:/],
    [
      { REPOSITORY: 'git@h:x', SSH_KEY_FILE: '/a b', KNOWN_HOSTS_FILE: '/$(id)' },
      /may be in the paths/,
    ],
  ];
  for (const [environment, message] of FAULTS) {
    it(`are refused: ${JSON.stringify(environment)}`, () => {
      const parsed = parse(environment);
      expect(parsed.kind === 'problem' ? parsed.message : parsed.kind).to.match(message);
    });
  }

  it('know what goes over SSH', () => {
    expect(isSsh('git@git.example.com:fleet.git')).to.equal(true);
    expect(isSsh('ssh://git.example.com/fleet.git')).to.equal(true);
    expect(isSsh(REPOSITORY)).to.equal(false);
    expect(isSsh('/srv/a:b.git')).to.equal(false);
  });
});
