/** What was waited for will not come; the message says why. */
export declare class Unreached extends Error {
    readonly name = "Unreached";
}
