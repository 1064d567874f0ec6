import type { BluetoothAdapter, BluetoothConnection, BluetoothSearch } from './adapter';
export declare class WebBluetooth implements BluetoothAdapter {
    private device;
    /** Whether this page can use Bluetooth. */
    static get available(): boolean;
    choose(service: string): Promise<void>;
    connect(service: string, search: BluetoothSearch): Promise<BluetoothConnection>;
}
