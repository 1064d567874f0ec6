import type { BluetoothAdapter, BluetoothSearch } from './adapter';
import type { Link, LinkEvents, Transport } from './link';
export declare class BluetoothTransport implements Transport {
    private readonly adapter;
    private readonly isWanted;
    readonly kind = "bluetooth";
    readonly openingMs: number;
    private last;
    constructor(adapter: BluetoothAdapter, isWanted: BluetoothSearch['isWanted']);
    get isToBeChosen(): boolean;
    choose(): Promise<void>;
    open(events: LinkEvents): Link;
}
