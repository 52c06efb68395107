import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { generatedFiles, generatedFolder } from './files.js';

/** Compiled, this file is dist/src/wire/generate/main.js. */
const folder = fileURLToPath(new URL(`../../../../${generatedFolder}/`, import.meta.url));
mkdirSync(`${folder}include`, { recursive: true });
for (const [name, text] of Object.entries(generatedFiles())) writeFileSync(folder + name, text);
