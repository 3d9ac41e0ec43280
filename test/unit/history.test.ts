/**
 * Goal: one timeline, kept for longer than the store keeps it, with nothing twice. Method: a journal in a
 * folder of its own, and a leader in a world that is a step behind its spec.
 */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { useFakeTimers } from 'sinon';
import { createLogger } from 'winston';
import { runCli } from '../../src/cli/main';
import { decide } from '../../src/core/decide';
import { evidenceOf, mergedHistory, sourceText, type HistoryEntry } from '../../src/core/history';
import { viewOf } from '../../src/core/situation';
import { ClusterHistory } from '../../src/operator/cluster-history';
import { FileJournal } from '../../src/operator/journal';
import { portsOf, recordingOutput, world } from '../support/cli-ports';
import { failureOf } from '../support/failure';
import { NOW_MS, running, switchover, withReport } from '../support/world';

const entry = (minute: number, message = `event ${minute}`): HistoryEntry => ({
  at: new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString(),
  term: 1,
  rule: 'test',
  message,
});
const log = createLogger({ silent: true });

describe('a journal on the operator’s volume', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pgswarm-journal-'));
  });
  afterEach(() => {
    comeBack();
    rmSync(folder, { recursive: true });
  });
  /** Files that nobody can open before the other end is open, too. */
  let hanging: readonly string[] = [];
  const comeBack = (): void => {
    for (const file of hanging) {
      const end = openSync(file, 'r+');
      rmSync(file);
      closeSync(end);
    }
    hanging = [];
  };
  const read = (since = ''): Promise<readonly HistoryEntry[]> =>
    new FileJournal(folder, log).read('orders', since);

  it('keeps what the store has forgotten, and nothing twice', async () => {
    const first = new FileJournal(folder, log);
    first.add('orders', [entry(1), entry(2)]);
    first.add('orders', [entry(2), entry(3)]);
    await first.read('orders', '');
    // Another leader on this node, with what the store has by then.
    const second = new FileJournal(folder, log);
    second.add('orders', [entry(3), entry(4)]);
    expect(await second.read('orders', '')).to.deep.equal([1, 2, 3, 4].map((each) => entry(each)));
    expect(await second.read('orders', entry(3).at)).to.deep.equal([entry(3), entry(4)]);
  });

  it('keeps clusters apart, for its owner alone', async () => {
    const journal = new FileJournal(folder, log);
    journal.add('orders', [entry(1)]);
    journal.add('ledger', [entry(2)]);
    expect(await journal.read('ledger', '')).to.deep.equal([entry(2)]);
    expect(await read()).to.deep.equal([entry(1)]);
    expect(statSync(join(folder, 'orders.jsonl')).mode & 0o077).to.equal(0);
  });

  it('begins a new file when one is large, and drops the one before the last', async () => {
    const file = join(folder, 'orders.jsonl');
    const large = (message: string): string =>
      `${JSON.stringify(entry(1, message))}\n${' '.repeat(5 * 1024 * 1024)}\n`;
    writeFileSync(`${file}.1`, large('first'));
    writeFileSync(file, large('second'));
    const journal = new FileJournal(folder, log);
    journal.add('orders', [entry(2, 'third')]);
    const messages = (await journal.read('orders', '')).map(({ message }) => message);
    expect(messages).to.deep.equal(['second', 'third']);
    expect(readdirSync(folder).toSorted()).to.deep.equal(['orders.jsonl', 'orders.jsonl.1']);
    expect(statSync(file).size).to.be.below(1000);
  });

  it('leaves out a line that a crash has cut short', async () => {
    const journal = new FileJournal(folder, log);
    journal.add('orders', [entry(1)]);
    await journal.read('orders', '');
    appendFileSync(join(folder, 'orders.jsonl'), '{"at":"2026');
    expect(await read()).to.deep.equal([entry(1)]);
    const next = new FileJournal(folder, log);
    next.add('orders', [entry(2)]);
    next.add('orders', [entry(3)]);
    expect(await next.read('orders', '')).to.deep.equal([entry(1), entry(2), entry(3)]);
  });

  it('stops nothing when it cannot be written', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const journal = new FileJournal(join(file, 'below'), log);
    journal.add('orders', [entry(1)]);
    expect(await failureOf(journal.read('orders', ''))).to.have.property(
      'code',
      'HistoryUnreadable',
    );
  });

  // Each file that was waited for held a thread, and there are four of them for all files and host names.
  it('that hangs keeps nobody waiting, and nothing else from being read', async () => {
    const journal = new FileJournal(folder, log);
    const clusters = ['a', 'b', 'c', 'd'];
    hanging = clusters.map((each) => join(folder, `${each}.jsonl`));
    for (const file of hanging) execFileSync('mkfifo', [file]);
    const seconds = useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    for (const each of clusters) journal.add(each, [entry(1)]);
    const asked = failureOf(journal.read('d', ''));
    await seconds.tickAsync(2_000);
    seconds.restore();
    expect((await asked).message).to.include('nothing came from its disk within 2 s');
    expect(await readFile(__filename, 'utf8')).to.include('that hangs');
    comeBack();
    expect(await journal.read('d', '')).to.deep.equal([entry(1)]);
  });

  it('forgets clusters that were deleted long ago', async () => {
    const journal = new FileJournal(folder, log);
    const quiet = ['quiet.jsonl', 'gone.jsonl', 'gone.jsonl.1', 'notes.txt'];
    for (const name of [...quiet, 'late.jsonl']) writeFileSync(join(folder, name), '');
    const longAgo = Date.now() / 1000 - 31 * 86_400;
    for (const name of quiet) utimesSync(join(folder, name), longAgo, longAgo);
    journal.tidy(['quiet']);
    await journal.read('quiet', '');
    expect(readdirSync(folder).toSorted()).to.deep.equal([
      'late.jsonl',
      'notes.txt',
      'quiet.jsonl',
    ]);
  });
});

describe('what a leader writes down', () => {
  const kept: HistoryEntry[] = [];
  const journal = {
    add: (_: string, entries: readonly HistoryEntry[]) => void kept.push(...entries),
  };
  beforeEach(() => void kept.splice(0));

  it('its decision, with what was seen, how long it took, and who applied the spec', () => {
    const { asked } = switchover();
    const history = new ClusterHistory('orders', journal);
    history.decided(decide(asked), viewOf(asked, asked.state!), 12);
    const [found] = kept;
    expect(found).to.include({ rule: 'switchover-begin', durationMs: 12, generation: 2 });
    expect(found?.appliedBy).to.equal('test');
    expect(found?.evidence).to.deep.equal([
      'pg1: primary, timeline 1, at 0/3000000',
      'pg2: standby, timeline 1, at 0/3000000, 0 B behind',
    ]);
    // The same as the store's, so that it is not told twice.
    const next = decide(asked).steps[0];
    const inStore = next?.kind === 'record' ? next.next.events : [];
    expect(mergedHistory(kept, inStore).filter(({ rule }) => rule === found?.rule)).to.have.length(
      1,
    );
  });

  it('what others have recorded, and each generation once', () => {
    const { state, record } = running();
    const history = new ClusterHistory('orders', journal);
    history.noted(state, record);
    history.noted(state, record);
    expect(kept.slice(0, -1)).to.deep.equal(state?.events);
    expect(kept.at(-1)?.message).to.equal('generation 1 of the spec is in force, applied by test');
    history.noted(state, { ...record, generation: 2 });
    expect(kept.at(-1)?.generation).to.equal(2);
  });
});

describe('the history of a cluster', () => {
  it('says who is silent, and for how long', () => {
    const silent = withReport(running(), 'pg2', null);
    const gone = { ...running(), nowMs: NOW_MS + 4_200 };
    expect(evidenceOf(viewOf(silent, silent.state!))[1]).to.equal('pg2: never heard');
    expect(evidenceOf(viewOf(gone, gone.state!))[1]).to.equal('pg2: silent for 4.2 s');
  });

  it('names where a spec came from', () => {
    expect(sourceText({ kind: 'apply', by: 'ada' })).to.equal('ada');
    expect(sourceText({ kind: 'file', path: '/etc/a.yaml' })).to.equal('/etc/a.yaml');
  });

  it('the store keeps what was seen when a role changes', () => {
    const { promoting, pair } = switchover();
    const rules = (situation: typeof pair): readonly string[] =>
      situation.state!.events.filter(({ evidence }) => evidence).map(({ rule }) => rule);
    expect(rules(promoting)).to.include.members(['switchover-begin', 'switchover-promote']);
    expect(rules(pair)).to.deep.equal([]);
  });
});

describe('pgswarm events', () => {
  const pair = running();
  const ask = async (
    argv: string,
    history: () => Promise<readonly HistoryEntry[]>,
  ): Promise<string> => {
    const output = recordingOutput();
    const ports = portsOf({ ...(await world(pair)), history }, output);
    expect(await runCli(['events', 'orders', ...argv.split(' ')], ports)).to.equal(0);
    return output.text();
  };

  it('tells what the volumes have and the store, once each', async () => {
    const old = { ...entry(0, 'long ago'), at: '2025-12-24T00:00:00.000Z', durationMs: 7 };
    const text = await ask('-n 100 -o json', () =>
      Promise.resolve([old, ...pair.state!.events.slice(0, 2)]),
    );
    expect(JSON.parse(text)).to.deep.equal([old, ...pair.state!.events]);
  });

  it('asks for what was since', async () => {
    let asked: string | null = '';
    const output = recordingOutput();
    const history = (since: string | null): Promise<[]> => {
      asked = since;
      return Promise.resolve([]);
    };
    const ports = portsOf({ ...(await world(pair)), history }, output);
    await runCli(['events', 'orders', '--since', '2h'], ports);
    expect(asked).to.equal('2025-12-31T22:12:00.000Z');
    await runCli(['events', 'orders', '--since', '2026-01-01T01:00:00+01:00'], ports);
    expect(asked).to.equal('2026-01-01T00:00:00.000Z');
  });

  it('watches: each once, as a line of its own', async () => {
    const output = recordingOutput();
    let looks = 0;
    const history = (): Promise<readonly HistoryEntry[]> => {
      looks += 1;
      return Promise.resolve(looks === 1 ? [entry(20)] : [entry(20), entry(21)]);
    };
    const ports = portsOf({ ...(await world(pair)), history }, output);
    const pause = (): Promise<boolean> => Promise.resolve(looks < 3);
    const watched = { ...ports, clock: { ...ports.clock, pause } };
    await runCli(['events', 'orders', '--watch', '-n', '1', '-o', 'json'], watched);
    const lines = output
      .text()
      .split('\n')
      .map((line) => JSON.parse(line) as HistoryEntry);
    expect(lines).to.deep.equal([entry(20), entry(21)]);
  });
});
