import { expect } from 'chai';
import { summarise } from '../bench/statistics';

describe('statistics', () => {
  const rows = [
    { name: 'one value', values: [7], is: { n: 1, median: 7, min: 7, max: 7 } },
    {
      name: 'an odd number of values',
      values: [30, 1, 2],
      is: { n: 3, median: 2, min: 1, max: 30 },
    },
    {
      name: 'an even number of values',
      values: [10, 9, 100, 1],
      is: { n: 4, median: 9.5, min: 1, max: 100 },
    },
    { name: 'no value', values: [], is: null },
  ];

  for (const { name, values, is } of rows) {
    it(`summarise ${name}`, () => {
      expect(summarise(values)).to.deep.equal(is);
    });
  }
});
