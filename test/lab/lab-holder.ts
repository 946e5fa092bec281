import { buildLab } from './build-lab.ts';
import { cloud } from './cloud.ts';

// A process that builds a laboratory and is then killed by the test; see lab.test.ts.
const lab = await buildLab(cloud);
const inside = lab.host('vm').spawn('tail', ['-f', '/dev/null']);
process.stdout.write(`${JSON.stringify({ name: lab.name, directory: lab.directory, pid: inside.pid })}\n`);
