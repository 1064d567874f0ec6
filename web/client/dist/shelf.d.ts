/** No method ever fails: what cannot be kept on the disk is there until the page ends. */
export declare class Shelf {
    private readonly database;
    private readonly memory;
    private constructor();
    static open(name: string): Promise<Shelf>;
    get(key: string): Promise<unknown>;
    put(key: string, value: unknown): Promise<void>;
    /** The value, which is `fresh` where there is none yet: windows that ask at the same time get the same. */
    getOrPut(key: string, fresh: unknown): Promise<unknown>;
    close(): void;
    private ask;
}
