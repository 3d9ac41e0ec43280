/** A lab of one's own for the matrix and for the benchmark of failovers. */
import { Deployment } from '../e2e/deployment';
import { step } from '../lab/progress';
import { run } from '../lab/shell';
import { repository } from '../lab/stage';

export interface LabChoice {
  readonly lab: string;
  /** `build`: from src. `existing`: the program and the image are as they shall be. */
  readonly image: 'build' | 'existing';
}

/** The lab with the operator in it, and the program compiled. */
export async function openLab({ lab, image }: LabChoice): Promise<Deployment> {
  if (image === 'build') {
    await step('compiling the program', () =>
      run(['npm', 'run', '--silent', 'build'], { cwd: repository }),
    );
  }
  return Deployment.open(lab, { image });
}
