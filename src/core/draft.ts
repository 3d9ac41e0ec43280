/** A document as the checks meet it: its fields have the right types, and any of them may be missing. */
import type { PostgresCluster } from './generated';

/** A document in which every field may still be missing. */
export type Draft<T> = T extends readonly (infer Item)[]
  ? readonly (Draft<Item> | undefined)[]
  : T extends object
    ? { readonly [Key in keyof T]?: Draft<T[Key]> | undefined }
    : T;

export type SpecDraft = Draft<PostgresCluster['spec']>;
export type ScheduleDraft = NonNullable<
  NonNullable<NonNullable<SpecDraft['backup']>['schedules']>[number]
>;
export type ServerDraft = NonNullable<NonNullable<SpecDraft['servers']>[number]>;
