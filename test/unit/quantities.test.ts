import { expect } from 'chai';
import fc from 'fast-check';
import {
  formatDuration,
  formatSize,
  parseDuration,
  parseSize,
  type Parsed,
} from '../../src/core/quantities';

const valueOf = (parsed: Parsed): number | null => (parsed.kind === 'value' ? parsed.value : null);
const messageOf = (parsed: Parsed): string | null =>
  parsed.kind === 'problem' ? parsed.message : null;

describe('quantities', () => {
  for (const [text, ms] of [
    ['500ms', 500],
    ['5s', 5000],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['14d', 1_209_600_000],
    ['0s', 0],
    ['1.5s', 1500],
    ['1.001s', 1001],
    ['5 s', 5000],
  ] as const) {
    it(`reads the duration ${text}`, () => expect(valueOf(parseDuration(text))).to.equal(ms));
  }

  for (const [text, bytes] of [
    ['1B', 1],
    ['16kB', 16_384],
    ['16MB', 16_777_216],
    ['1GB', 1_073_741_824],
    ['2TB', 2_199_023_255_552],
    ['1.5kB', 1536],
  ] as const) {
    it(`reads the size ${text}`, () => expect(valueOf(parseSize(text))).to.equal(bytes));
  }

  for (const { name, parsed, message } of [
    {
      name: 'no unit',
      parsed: parseSize('16'),
      message: '"16" is not a size: the unit is missing',
    },
    {
      name: 'a unit in other letters',
      parsed: parseSize('16mb'),
      message: '"16mb" is not a size: there is no unit mb, the unit is written MB',
    },
    {
      name: 'a unit of the other kind',
      parsed: parseSize('16s'),
      message: '"16s" is not a size: there is no unit s',
    },
    {
      name: 'a duration without a unit',
      parsed: parseDuration('10'),
      message: '"10" is not a duration: the unit is missing',
    },
    { name: 'a sign', parsed: parseDuration('-5s'), message: '"-5s" is not a duration' },
    { name: 'nothing', parsed: parseDuration(''), message: '"" is not a duration' },
    { name: 'a word', parsed: parseDuration('soon'), message: '"soon" is not a duration' },
    { name: 'two parts', parsed: parseDuration('1h30m'), message: '"1h30m" is not a duration' },
    { name: 'a line break', parsed: parseDuration('5s\n'), message: '"5s\\n" is not a duration' },
    {
      name: 'less than the smallest unit',
      parsed: parseDuration('0.5ms'),
      message: '"0.5ms" is finer than a duration can be',
    },
    { name: 'too much', parsed: parseSize('99999999TB'), message: '"99999999TB" is too large' },
  ]) {
    it(`refuses ${name}`, () => expect(messageOf(parsed)).to.equal(message));
  }

  for (const [ms, text] of [
    [3600, '3.6s'],
    [90_000, '90s'],
    [120_000, '2m'],
    [250, '250ms'],
    [0, '0s'],
  ] as const) {
    it(`writes ${ms} ms as ${text}`, () => expect(formatDuration(ms)).to.equal(text));
  }

  for (const [bytes, text] of [
    [16_777_216, '16MB'],
    [1025, '1025B'],
    [0, '0B'],
  ] as const) {
    it(`writes ${bytes} bytes as ${text}`, () => expect(formatSize(bytes)).to.equal(text));
  }

  it('reads back every duration and size that it writes', () => {
    fc.assert(
      fc.property(fc.nat({ max: 1_000_000_000_000 }), (value) => {
        expect(valueOf(parseDuration(formatDuration(value)))).to.equal(value);
        expect(valueOf(parseSize(formatSize(value)))).to.equal(value);
      }),
    );
  });

  it('agrees with a sum that is done by hand, digit by digit', () => {
    const factors = { ms: 1n, s: 1000n, m: 60_000n, h: 3_600_000n, d: 86_400_000n };
    fc.assert(
      fc.property(
        fc.nat({ max: 100_000 }),
        fc.nat({ max: 999 }),
        fc.constantFrom(...(Object.keys(factors) as (keyof typeof factors)[])),
        (whole, thousandths, unit) => {
          const exact = (BigInt(whole) * 1000n + BigInt(thousandths)) * factors[unit];
          const text = `${whole}.${String(thousandths).padStart(3, '0')}${unit}`;
          const expected = exact % 1000n === 0n ? Number(exact / 1000n) : null;
          expect(valueOf(parseDuration(text))).to.equal(expected);
        },
      ),
    );
  });
});
