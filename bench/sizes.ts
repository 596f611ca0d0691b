/** `npm run sizes`: measures the built package and writes README's table of sizes. */
import { writeSection } from '../test/section.ts';
import { sizeTable } from '../test/sizes.ts';

writeSection('README.md', 'sizes', await sizeTable());
