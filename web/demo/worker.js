// Keeps the pages on the device: after the first visit they open without any network.
const CACHE = 'store-gateway-1'
const FILES = [
  '/', '/kiosk', '/kitchen', '/clinic', '/status', '/demo/style.css', '/demo/icon.svg',
  '/demo/manifest.webmanifest', '/demo/words.js', '/demo/dom.js', '/demo/shared.js', '/demo/kiosk.js',
  '/demo/kitchen.js', '/demo/clinic.js', '/demo/status.js', '/client/store-gateway.browser.js',
]

self.addEventListener('install', (event) => {
  self.skipWaiting()
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)))
})

self.addEventListener('activate', (event) => {
  const old = caches.keys().then((names) => Promise.all(names.filter((n) => n !== CACHE).map((n) => caches.delete(n))))
  event.waitUntil(old.then(() => self.clients.claim()))
})

self.addEventListener('fetch', (event) => {
  const { request } = event
  const { pathname, origin } = new URL(request.url)
  if (request.method !== 'GET' || origin !== location.origin || !FILES.includes(pathname)) return
  event.respondWith(fresh(request))
})

// The newest when the gateway answers, the kept one when it does not.
async function fresh(request) {
  const cache = await caches.open(CACHE)
  try {
    const response = await fetch(request)
    if (response.ok) await cache.put(request, response.clone())
    return response
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true })
    if (kept) return kept
    throw error
  }
}
