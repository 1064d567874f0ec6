/** `static` (the gateway's key) and `store` only from a QR code. */
export interface PairingSecret {
    psk: Uint8Array;
    static?: Uint8Array;
    store?: Uint8Array;
}
/** The secret in what somebody typed or scanned. Throws `PairingCodeError`. */
export declare function pairingSecret(text: string): PairingSecret;
