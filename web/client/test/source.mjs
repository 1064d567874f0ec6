// A module of src that the package does not export, bundled with what it imports.
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

export async function source(name) {
  const path = fileURLToPath(new URL(`../src/${name}.ts`, import.meta.url))
  const { outputFiles } = await build({ entryPoints: [path], bundle: true, format: 'esm', target: 'es2022', write: false, logLevel: 'warning' })
  return import('data:text/javascript;base64,' + Buffer.from(outputFiles[0].contents).toString('base64'))
}
