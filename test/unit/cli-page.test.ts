import { expect } from 'chai';
import { runCli } from '../../src/cli/main';
import { type CliPorts } from '../../src/cli/ports';
import { OperatingError } from '../../src/core/errors';
import { portsOf, recordingOutput, running, world } from '../support/cli-ports';
import { spec } from '../support/world';

describe('pgswarm page', () => {
  it('prints a link whose token stays in the browser', async () => {
    const output = recordingOutput();
    const ports = portsOf(await world(running(spec())), output);
    expect(await runCli(['page'], ports)).to.equal(0);
    const [link, note] = output.text().split('\n');
    expect(link).to.equal('http://192.0.2.1:7780/#token=0123456789abcdef0123456789abcdef');
    expect(note).to.include('change nothing');
  });

  it('says how to have it when it is off', async () => {
    const output = recordingOutput();
    const ports = portsOf(await world(running(spec())), output);
    const access = ports.connect();
    const off = (): Promise<never> =>
      Promise.reject(new OperatingError('refused', 'PageOff', 'the web page is not served'));
    const without: CliPorts = {
      ...ports,
      connect: () => ({ ...access, operator: { ...access.operator, page: off } }),
    };
    expect(await runCli(['page'], without)).to.equal(1);
    expect(output.text()).to.equal('pgswarm: the web page is not served');
  });
});
