// Preloaded into an instance manager: its file systems have as much room as a file says.
const { existsSync, readFileSync, promises } = require('node:fs');

const { statfs } = promises;
promises.statfs = async (...given) => {
  const seen = await statfs(...given);
  const file = process.env.PGSWARM_TEST_FREE_BYTES ?? '';
  if (!existsSync(file)) return seen;
  return { ...seen, bsize: seen.bsize, bavail: Number(readFileSync(file, 'utf8')) / seen.bsize };
};
