/** The files for Prometheus and Grafana name what the programs show, and pages that there are. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { load } from 'js-yaml';
import { decide } from '../../src/core/decide';
import { clusterFamilies } from '../../src/core/metrics/cluster';
import { type Families } from '../../src/core/metrics/family';
import { instanceEventFamilies, instanceFamilies } from '../../src/core/metrics/instance';
import { operatorEventFamilies, operatorFamilies } from '../../src/core/metrics/operator';
import { processFamilies } from '../../src/core/metrics/process';
import { viewOf } from '../../src/core/situation';
import { statusOf } from '../../src/core/status';
import { alertRules, metricsNamedIn, readMonitoring } from '../support/monitoring';
import { running } from '../support/world';

const ROOT = join(__dirname, '../..');

const families: Families = {
  ...{ ...clusterFamilies, ...operatorFamilies, ...operatorEventFamilies },
  ...{ ...instanceFamilies, ...instanceEventFamilies, ...processFamilies },
};
const names = Object.entries(families).flatMap(([name, { kind }]) =>
  kind === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
);

describe('the files for monitoring', () => {
  for (const file of ['alerts.yml', 'dashboard.json']) {
    it(`${file} names metrics that there are`, () => {
      const named = metricsNamedIn(readMonitoring(file));
      expect(named).to.have.length.above(10);
      expect(named.filter((name) => !names.includes(name))).to.deep.equal([]);
    });
  }

  it('the dashboard has no two panels with one id, or in one place', () => {
    const { panels } = load(readMonitoring('dashboard.json')) as {
      panels: readonly { id: number; gridPos: { x: number; y: number } }[];
    };
    const places = panels.map(({ gridPos: { x, y } }) => `${x} ${y}`);
    expect(new Set(places).size).to.equal(panels.length);
    expect(new Set(panels.map(({ id }) => id)).size).to.equal(panels.length);
  });

  for (const { alert, labels, annotations, ...rule } of alertRules()) {
    it(`${alert} says how grave it is, since when, and where to read on`, () => {
      expect(rule.for).to.match(/^\d+[smh]$/);
      expect(labels.severity).to.be.oneOf(['critical', 'warning', 'info']);
      expect(annotations.summary).to.have.length.above(20);
      expect(existsSync(join(ROOT, annotations.runbook_url))).to.equal(true);
      const index = readFileSync(join(ROOT, 'docs/runbooks/README.md'), 'utf8');
      expect(index).to.include(`\`${alert}\``);
    });
  }

  it('every condition has an alert, and a page', () => {
    const pair = running();
    const { conditions } = statusOf(viewOf(pair, pair.state!), decide(pair));
    for (const { type } of conditions) {
      const pages = alertRules().filter(
        ({ annotations }) => annotations.runbook_url === `docs/runbooks/${type}.md`,
      );
      expect(pages, type).to.not.be.empty;
      // Of `Ready` there is something better: whether anybody accepts writes.
      const named = pages.some(({ expr }) => expr.includes(`{type="${type}"}`));
      expect(named || type === 'Ready', type).to.equal(true);
    }
  });

  it('every metric follows the conventions for names', () => {
    for (const [name, { kind }] of Object.entries(families)) {
      expect(name).to.match(/^(pgswarm|process|nodejs)_[a-z0-9_]+[a-z0-9]$/);
      expect(name.endsWith('_total'), name).to.equal(kind === 'counter');
      if (kind === 'histogram') expect(name).to.match(/_seconds$/);
    }
  });
});
