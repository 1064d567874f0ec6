// Builds the package (yjs and friends stay imports), its types, and one file for pages without Node.
import { execFileSync } from 'node:child_process'
import { build } from 'esbuild'

const folder = process.argv[2] ?? 'dist'
const common = { bundle: true, format: 'esm', target: 'es2022', legalComments: 'none', logLevel: 'warning' }

await build({ ...common, entryPoints: ['src/index.ts'], outfile: `${folder}/index.js`, packages: 'external' })
await build({ ...common, entryPoints: ['src/browser.ts'], outfile: `${folder}/store-gateway.browser.js`, minify: true })
execFileSync('node', ['node_modules/typescript/bin/tsc', '-p', '.', '--outDir', folder], { stdio: 'inherit' })
