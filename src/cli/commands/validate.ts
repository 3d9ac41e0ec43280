/** `pgswarm validate`: everything that is wrong with the files, at once. */
import { expectationsOf } from '../../core/expectations';
import { hasErrors } from '../../core/findings';
import { type OtherCluster } from '../../core/checks';
import { otherClusters } from '../../operator/accept-spec';
import { checkFile, showFindings, type Checked } from '../documents';
import { DONE, FAILED, type ExitCode } from '../exit';
import { serialised, type Format } from '../output';
import { type CliPorts } from '../ports';

export interface ValidateOptions {
  readonly file: readonly string[];
  readonly output?: Format;
}

export async function run(ports: CliPorts, options: ValidateOptions): Promise<ExitCode> {
  const others = await knownClusters(ports);
  const checked = options.file.map((file) => checkFile(file, others));
  const { output: format } = options;
  if (format !== undefined) ports.output.print(serialised(checked.map(asJson), format));
  else for (const each of checked) show(ports, each);
  return checked.some(({ findings }) => hasErrors(findings)) ? FAILED : DONE;
}

/** A file can be checked without Docker; then only the checks between clusters are left out. */
async function knownClusters(ports: CliPorts): Promise<readonly OtherCluster[]> {
  try {
    return await otherClusters(ports.connect().store);
  } catch {
    return [];
  }
}

function show({ output }: CliPorts, checked: Checked): void {
  showFindings(output, checked);
  const { file, spec } = checked;
  if (spec === null) return;
  const servers = `${spec.servers.length} ${spec.servers.length === 1 ? 'server' : 'servers'}`;
  const valid = output.paint('good', 'valid');
  output.print(`${file}: ${valid} (cluster ${spec.cluster}, ${servers}, primary ${spec.primary})`);
}

const asJson = ({ file, spec, findings }: Checked): unknown => ({
  file,
  valid: spec !== null,
  cluster: spec?.cluster ?? null,
  findings,
  expectations: spec === null ? null : expectationsOf(spec),
});
