// A clock that stands still until the test moves it. Timers of Node's own test runner are not touched.
const real = { setImmediate }
const TURNS = 20

let now = 1_800_000_000_000
let next = 1
const timers = new Map()

function add(callback, ms, every, values) {
  const timer = next++
  timers.set(timer, { at: now + Math.max(0, ms), every, run: () => callback(...values) })
  return timer
}

Date.now = () => now
globalThis.setTimeout = (callback, ms = 0, ...values) => add(callback, ms, 0, values)
globalThis.setInterval = (callback, ms, ...values) => add(callback, ms, ms, values)
globalThis.clearTimeout = globalThis.clearInterval = (timer) => void timers.delete(timer)

/** Let everything happen that needs no time. */
export async function settle() {
  for (let turn = 0; turn < TURNS; turn++) await new Promise((resolve) => real.setImmediate(resolve))
}

export async function advance(ms) {
  const end = now + ms
  for (;;) {
    await settle()
    const [timer, due] = [...timers].reduce((one, other) => (!one[1] || other[1].at < one[1].at ? other : one), [])
    if (!due || due.at > end) break
    now = Math.max(now, due.at)
    if (due.every) due.at = now + due.every
    else timers.delete(timer)
    due.run()
  }
  now = end
  await settle()
}
