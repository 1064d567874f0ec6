// Reads commands as JSON lines from standard input and answers each with one line. `heard` takes the lines that are none.
import { createInterface } from 'node:readline'

export function serveCommands(handlers, heard) {
  const lines = createInterface({ input: process.stdin })
  let last = Promise.resolve()
  lines.on('line', (line) => {
    const { do: verb, ...args } = JSON.parse(line)
    if (verb === undefined) return heard(args)
    last = last.then(async () => {
      let answer
      try {
        answer = { result: (await handlers[verb](args)) ?? null }
      } catch (error) {
        answer = { error: `${verb}: ${error.stack}` }
      }
      process.stdout.write(JSON.stringify(answer) + '\n')
    })
  })
  lines.on('close', () => process.exit(0))
}
