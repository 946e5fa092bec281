/** `npm run bench -- NAME [options]`: measurements, which no test run includes. */
import { CloudsipError } from '../../src/error.ts';
import { installPackages, missingPackages } from '../support/debian-packages.ts';
import { media } from './media.ts';
import { signalling } from './signalling.ts';
import { start } from './start.ts';
import { together } from './together.ts';

interface Benchmark {
  readonly packages: readonly string[];
  run(args: string[]): Promise<void>;
}

const benchmarks: Readonly<Record<string, Benchmark>> = {
  media: { packages: ['gcc', 'libc6-dev', 'ethtool', 'iproute2', 'rtpengine-daemon'], run: media },
  signalling: { packages: ['sip-tester', 'kamailio'], run: signalling },
  start: { packages: [], run: start },
  together: {
    packages: ['gcc', 'libc6-dev', 'ethtool', 'iproute2', 'sip-tester'],
    run: together,
  },
};

const [name = '', ...args] = process.argv.slice(2);
const benchmark = Object.hasOwn(benchmarks, name) ? benchmarks[name] : undefined;
try {
  if (!benchmark) {
    throw new Error(
      `expected one of ${Object.keys(benchmarks).join(', ')} and got "${name}"; add --help to its name`,
    );
  }
  const missing = missingPackages(benchmark.packages);
  if (missing && missing.length > 0 && process.getuid?.() === 0) await installPackages(missing);
  await benchmark.run(args);
} catch (error) {
  const known = error instanceof Error && !(error instanceof TypeError && !(error instanceof CloudsipError));
  console.error(`npm run bench: ${known ? error.message : error}`);
  process.exitCode = 1;
}
