import { Keys, type Membership } from './entrance';
export declare class Identity {
    private readonly shelf;
    readonly peer: Uint8Array;
    readonly keys: Keys;
    private gateways;
    membership: Membership | null;
    /** Another window was paired. */
    onGained: () => void;
    private readonly channel;
    private constructor();
    static load(): Promise<Identity>;
    /** The static key of the gateway of our store that was met at an address, or by Bluetooth (`bluetoothKey`). */
    gateway(url: string): Uint8Array | undefined;
    meet(url: string, key: Uint8Array): void;
    /** Whether there was a key to forget. */
    forget(url: string): boolean;
    /** Be of a store from now on; resolves when that is kept. */
    gain(membership: Membership): Promise<void>;
    /** Keep the entries that were heard of. */
    keepRevocations(): Promise<void>;
    close(): void;
    private reload;
    private read;
}
/** What the key of a gateway is kept by where its address says nothing. */
export declare function bluetoothKey(peer: Uint8Array): string;
export declare function random(count: number): Uint8Array;
