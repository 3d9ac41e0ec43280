/**
 * A line of pg_hba.conf that PostgreSQL refuses does no harm while it runs, but keeps it from
 * starting. Whatever happens between writing the file and knowing that it is right (a crash of the
 * server, of the instance manager), the last right one must still be there.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type InstanceSettings } from '../../src/core/protocol';
import { renderHba } from '../../src/core/settings';
import { restoreHba, writeHba, writeSettings } from '../../src/instance/data-directory';

const settings = (line: string): InstanceSettings => ({
  parameters: {},
  hba: [line],
  subnet: '10.0.200.0/24',
  database: 'app',
  owner: 'app',
  archive: { compression: 'zstd', timeoutMs: 300_000 },
  retention: { keep: null, maxAgeMs: null },
});
const works = async (): Promise<void> => await Promise.resolve();
const breaks = async (): Promise<void> => await Promise.reject(new Error('the connection broke'));

describe('the files in the data directory', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'pgswarm-directory-'));
  });
  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  const hba = async (): Promise<string> => {
    const text = await readFile(join(directory, 'pg_hba.conf'), 'utf8');
    return text.trimEnd().split('\n').at(-1) ?? '';
  };
  const write = async (line: string, use: () => Promise<void>): Promise<void> =>
    await writeHba(directory, renderHba(settings(line)), use).catch(() => undefined);

  it('keep nothing beside a pg_hba.conf that is right', async () => {
    await write('first', works);
    await write('second', works);
    expect(await readdir(directory)).to.deep.equal(['pg_hba.conf']);
    expect(await restoreHba(directory)).to.equal(false);
    expect(await hba()).to.equal('second');
  });

  it('keep the last right pg_hba.conf, however often others are tried', async () => {
    await write('right', works);
    await write('wrong', breaks);
    await write('wrong', breaks);
    await write('wrong too', breaks);
    expect(await hba()).to.equal('wrong too');
    expect(await restoreHba(directory)).to.equal(true);
    expect(await hba()).to.equal('right');
    expect(await restoreHba(directory)).to.equal(false);
  });

  it('forget it when the next one is right', async () => {
    await write('right', works);
    await write('wrong', breaks);
    await write('right again', works);
    expect(await restoreHba(directory)).to.equal(false);
    expect(await hba()).to.equal('right again');
  });

  it('never hold settings that were refused', async () => {
    const refuse = async (): Promise<void> => await Promise.reject(new Error('refused'));
    await writeSettings(directory, "work_mem = '4MB'\n", works);
    await writeSettings(directory, "work_mam = '4MB'\n", refuse).catch(() => undefined);
    expect(await readFile(join(directory, 'pgswarm.conf'), 'utf8')).to.equal("work_mem = '4MB'\n");
    // What is there already was tried when it was written.
    await writeSettings(directory, "work_mem = '4MB'\n", refuse);
  });
});
