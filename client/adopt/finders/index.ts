/** All finders, in the order in which they are shown. */
import type { Finder } from '../finder.ts';
import { AGENTS } from './agents.ts';
import { CLOUDS } from './clouds.ts';
import { FORGES } from './forges.ts';
import { KUBERNETES } from './kubernetes.ts';
import { PACKAGES } from './packages.ts';

export const FINDERS: readonly Finder[] = [...CLOUDS, ...KUBERNETES, ...FORGES, ...AGENTS, ...PACKAGES];
