/** Runs cells on the clusters that they need, one after the other. */
import { eventually } from '../support/eventually';
import { messageOf } from '../../src/core/errors';
import { note } from '../lab/progress';
import { type Deployment } from '../e2e/deployment';
import { shapeFor, type Cell } from './cells';
import { CLUSTER, MatrixCluster, shapeName, type Shape } from './cluster';
import { saveEvidence } from './evidence';
import { line } from './report';
import { violations, type Result } from './result';
import { runCell, type Run } from './run-cell';

export interface Plan {
  readonly shapes: readonly Shape[];
  /** In this order on each shape where they fit. */
  readonly cells: readonly Cell[];
  readonly repeat: number;
  /** Before each fault. */
  readonly restMs: number;
  /** Folder for the logs of what went wrong; with `keepAll`, of everything. */
  readonly logs: string;
  readonly keepAll: boolean;
}

/** All results; a cell that could not be run at all is a result of none, and in `failures`. */
export interface Outcome {
  readonly results: readonly Result[];
  readonly failures: readonly string[];
}

export async function runMatrix(deployment: Deployment, plan: Plan): Promise<Outcome> {
  const results: Result[] = [];
  const failures: string[] = [];
  for (const { shape, cells } of byShape(plan)) {
    const course = new ShapeCourse(deployment, shape, plan);
    for (const cell of cells) {
      for (let number = 1; number <= plan.repeat; number += 1) {
        const run = await course.run(cell, number).catch((error: unknown) => {
          failures.push(`${cell.name} ${number} (${shapeName(shape)}): ${messageOf(error)}`);
          return null;
        });
        note(run === null ? `FAILED: ${failures.at(-1) ?? ''}` : line(run.result));
        if (run !== null) results.push(run.result);
      }
    }
    failures.push(...(await course.end()));
  }
  return { results, failures };
}

/** Cells that need a cluster of the same shape share it. */
function byShape({ shapes, cells }: Plan): { readonly shape: Shape; readonly cells: Cell[] }[] {
  const found = new Map<string, { readonly shape: Shape; readonly cells: Cell[] }>();
  for (const asked of shapes) {
    for (const cell of cells) {
      const shape = shapeFor(cell, asked);
      if (shape === null) continue;
      const group = found.get(shapeName(shape)) ?? { shape, cells: [] };
      group.cells.push(cell);
      found.set(shapeName(shape), group);
    }
  }
  return [...found.values()];
}

/** One cluster, from its making to its end; made anew when a cell has left it broken. */
class ShapeCourse {
  readonly #deployment: Deployment;
  readonly #shape: Shape;
  readonly #plan: Plan;
  #cluster: MatrixCluster | null = null;
  #tables: { readonly table: string; readonly rows: number }[] = [];

  constructor(deployment: Deployment, shape: Shape, plan: Plan) {
    this.#deployment = deployment;
    this.#shape = shape;
    this.#plan = plan;
  }

  async run(cell: Cell, number: number): Promise<Run> {
    this.#cluster ??= await MatrixCluster.create(this.#deployment, this.#shape);
    const cluster = this.#cluster;
    const name = `${cell.name}-${shapeName(this.#shape).replace(/[^a-z0-9]+/g, '-')}-${number}`;
    try {
      const run = await runCell(cluster, cell, { number, restMs: this.#plan.restMs });
      this.#tables.push({ table: run.table, rows: run.result.judgement.rows });
      if (this.#plan.keepAll || violations(run.result).length > 0) {
        note(`logs: ${await saveEvidence(this.#plan.logs, name, cluster, run.marks)}`);
      }
      if (!run.isSettled) await this.#abandon();
      return run;
    } catch (error) {
      const marks = [{ atMs: performance.now(), what: messageOf(error) }];
      await saveEvidence(this.#plan.logs, name, cluster, marks).then(note, () => undefined);
      await this.#abandon();
      throw error;
    }
  }

  /** What was there after its own fault must be there after all that came later. */
  async end(): Promise<string[]> {
    if (this.#cluster === null) return [];
    const wrong: string[] = [];
    for (const { table, rows } of this.#tables) {
      // The last fault may have left the cluster without a leader for a moment.
      const count = `select count(*) from ${table}`;
      const now = await eventually(async () => Number(await this.#deployment.sql(CLUSTER, count)));
      if (now !== rows) wrong.push(`${table} had ${rows} rows, and has ${now} in the end`);
    }
    await MatrixCluster.remove(this.#deployment);
    return wrong;
  }

  async #abandon(): Promise<void> {
    this.#cluster = null;
    this.#tables = [];
    await this.#deployment.lab.repair();
  }
}
