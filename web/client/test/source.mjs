// Modules of src that the package does not export, bundled with what they import.
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

export async function source(...names) {
  const resolveDir = fileURLToPath(new URL('../src/', import.meta.url))
  const contents = names.map((name) => `export * from './${name}'`).join('\n')
  const { outputFiles } = await build({
    stdin: { contents, resolveDir }, bundle: true, format: 'esm', target: 'es2022', write: false, logLevel: 'warning',
  })
  return import('data:text/javascript;base64,' + Buffer.from(outputFiles[0].contents).toString('base64'))
}
