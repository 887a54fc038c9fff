import { compareHistory } from './compare.ts';
const [from = '1', to = '5'] = process.argv.slice(2);
for (let seed = Number(from); seed <= Number(to); seed++) {
  const t = performance.now();
  const { disagreements, seen } = compareHistory(seed);
  console.log(seed, Math.round(performance.now() - t), 'ms', JSON.stringify(seen.what), disagreements.length);
  for (const d of disagreements) console.log('   ', JSON.stringify(d));
  if (process.argv[4]) console.log(JSON.stringify(seen, null, 1));
}
