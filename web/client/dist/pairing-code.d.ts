/** What was typed is no pairing code; the message says so to a person. */
export declare class PairingCodeError extends Error {
    readonly name = "PairingCodeError";
}
/** A new code of 20 random bytes, of each of which five bits are used: `9V3ZK-0TQ4C-…`. */
export declare function pairingCode(random: Uint8Array): string;
/** The 20 characters of a typed code: any case, O for 0, I and L for 1, spaces and dashes anywhere. */
export declare function normalised(text: string): string;
/** The pre-shared key of a typed code, 32 bytes. */
export declare function pairingPsk(text: string): Uint8Array;
