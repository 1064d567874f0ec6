// Errors of the app's own listeners: shown, and kept away from the link.

/** Run code of the app; what it throws is reported like any uncaught error, and goes no further. */
export function guarded(call: () => void): void {
  try {
    call()
  } catch (error) {
    if (typeof globalThis.reportError === 'function') globalThis.reportError(error)
    else console.error(error)
  }
}
