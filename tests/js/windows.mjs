// Windows of a real browser, told what to do by JSON lines. A window is a device of its own.
import { chromium } from 'playwright-core'
import { serveCommands } from './commands.mjs'

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
})
const windows = new Map()
const errors = []

// `before`: a script that runs before those of any page.
async function page(name, { width = 1280, height = 800, before } = {}) {
  if (!windows.has(name)) {
    const context = await browser.newContext({ viewport: { width, height } })
    if (before) await context.addInitScript(before)
    const fresh = await context.newPage()
    fresh.on('pageerror', (error) => errors.push(`${name}: ${error}`))
    fresh.on('console', (message) => message.type() === 'error' && errors.push(`${name}: ${message.text()}`))
    windows.set(name, fresh)
  }
  return windows.get(name)
}

serveCommands({
  open: async ({ window, url, width, height, before }) => void (await (await page(window, { width, height, before })).goto(url)),
  click: async ({ window, selector }) => (await page(window)).click(selector, { timeout: 10_000 }),
  fill: async ({ window, selector, value }) => (await page(window)).fill(selector, value, { timeout: 10_000 }),
  type: async ({ window, selector, value }) => (await page(window)).type(selector, value),
  text: async ({ window, selector }) => (await page(window)).locator(selector).allInnerTexts(),
  value: async ({ window, selector }) => (await page(window)).inputValue(selector),
  run: async ({ window, script }) => (await page(window)).evaluate(script),
  offline: async ({ window, is }) => (await page(window)).context().setOffline(is),
  reload: async ({ window }) => void (await (await page(window)).reload()),
  shot: async ({ window, path }) => void (await (await page(window)).screenshot({ path })),
  errors: () => errors.splice(0),
})
