import type { Link, LinkEvents, Transport } from './link';
export declare class WebSocketTransport implements Transport {
    private readonly Socket;
    readonly kind = "network";
    readonly openingMs = 10000;
    private readonly url;
    constructor(url: string, Socket?: {
        new (url: string | URL, protocols?: string | string[]): WebSocket;
        prototype: WebSocket;
        readonly CONNECTING: 0;
        readonly OPEN: 1;
        readonly CLOSING: 2;
        readonly CLOSED: 3;
    });
    open(events: LinkEvents): Link;
}
