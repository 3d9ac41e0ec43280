/** Saving a file, as editors do it: in place, by a rename, by taking the old one away first. */
import { mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createLogger } from 'winston';
import { SpecFolder } from '../../src/operator/spec-folder';
import { eventually } from '../support/eventually';
import { spec } from '../support/world';

describe('a watched folder', function () {
  this.timeout(20_000);
  let folder: string;
  let watched: SpecFolder;
  const accepted: string[] = [];
  const path = (name = 'orders.yaml'): string => join(folder, name);

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pgswarm-folder-'));
    accepted.length = 0;
    watched = new SpecFolder(folder, {
      log: createLogger({ silent: true }),
      validate: async (file) => ({
        spec: spec({ primary: await readFile(file, 'utf8') }),
        document: {},
        findings: [],
      }),
      appliedDigests: () => Promise.resolve([]),
      accept: (file) => {
        accepted.push(file.spec.primary);
        return Promise.resolve();
      },
      refuse: () => undefined,
    });
    writeFileSync(path(), 'first');
    watched.start();
  });

  afterEach(() => {
    watched.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const untilAccepted = (...texts: readonly string[]): Promise<void> =>
    eventually(() => {
      expect(accepted).to.deep.equal(texts);
      return Promise.resolve();
    });

  it('takes a file that is written in place, renamed, or taken away and made anew', async () => {
    await untilAccepted('first');
    writeFileSync(path(), 'in place');
    await untilAccepted('first', 'in place');
    writeFileSync(path('.orders.yaml.swp'), 'renamed');
    renameSync(path('.orders.yaml.swp'), path());
    await untilAccepted('first', 'in place', 'renamed');
    unlinkSync(path());
    writeFileSync(path(), 'anew');
    await untilAccepted('first', 'in place', 'renamed', 'anew');
  });

  it('does not look at what editors keep beside it, nor at what is not there', async () => {
    await untilAccepted('first');
    symlinkSync('jane@host.1234', path('.#orders.yaml'));
    symlinkSync('nowhere', path('dangling.yaml'));
    writeFileSync(path('.orders.yaml'), 'hidden');
    writeFileSync(path(), 'second');
    await untilAccepted('first', 'second');
  });

  it('waits for the end of a file that is being written', async () => {
    await untilAccepted('first');
    for (let part = 1; part <= 20; part += 1) {
      writeFileSync(path(), `part ${part}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await untilAccepted('first', 'part 20');
  });
});
