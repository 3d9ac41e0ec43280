/** The record follows what the primary lives under, or leads it, so that it never promises more. */
import {
  assignedContract,
  isContractUnderstood,
  isSameContract,
  narrowedContract,
  wantedContract,
} from '../contract';
import { type Contract } from '../protocol';
import { type View } from '../situation';
import { contractRecorded } from '../transitions';
import { recorded, rule, type Rule } from './rule';

const inWords = (contract: Contract | null): string =>
  contract === null
    ? 'no lease'
    : `leases of ${contract.ttlMs / 1000} s and the peers ${contract.peers.join(', ') || '(none)'}`;

const isSettled = ({ state }: View): boolean => state.primary !== null && state.change === null;

export const contractRules: readonly Rule[] = [
  rule<{ next: Contract | null }>({
    id: 'contract-narrow',
    section: 'contract',
    about:
      'A server is no candidate any more, or leases become longer or are given up: the record says so before the primary is told.',
    when: (view) => {
      const next = narrowedContract(view);
      return isSettled(view) && !isSameContract(next, view.state.contract) ? { next } : null;
    },
    because: ({ next }) => `the record is to rely on no more than ${inWords(next)}`,
    steps: ({ next }, view) =>
      recorded(view, contractRecorded(view.state, next), {
        rule: 'contract-narrow',
        summary: `rely on ${inWords(next)}`,
        message: `the primary is relied on to have ${inWords(next)}`,
      }),
  }),
  rule<{ next: Contract }>({
    id: 'contract-widen',
    section: 'contract',
    about:
      'The primary has confirmed its lease and its peers: from now on the record relies on them.',
    when: (view) => {
      const next = wantedContract(view);
      const assigned = assignedContract(view);
      if (!isSettled(view) || next === null || isSameContract(next, view.state.contract)) {
        return null;
      }
      return isContractUnderstood(view, assigned) ? { next } : null;
    },
    because: ({ next }, { state }) => `${state.primary ?? ''} has confirmed ${inWords(next)}`,
    steps: ({ next }, view) =>
      recorded(view, contractRecorded(view.state, next), {
        rule: 'contract-widen',
        summary: `rely on ${inWords(next)}`,
        message: `${view.state.primary ?? ''} has confirmed ${inWords(next)}`,
      }),
  }),
];
