/** Run code of the app; what it throws is reported like any uncaught error, and goes no further. */
export declare function guarded(call: () => void): void;
