// @y/websocket-server with LevelDB, its own server unchanged: node y_websocket.mjs PORT FOLDER
const [port, folder] = process.argv.slice(2)
process.env.HOST = '127.0.0.1'
process.env.PORT = port
process.env.YPERSISTENCE = folder
await import('./node_modules/@y/websocket-server/src/server.js')
