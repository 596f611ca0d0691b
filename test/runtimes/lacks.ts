/** Something that a runtime has not got, and the tests that need it. */
export interface Lack {
  what: string;
  /** Those that must fail there: one that does not is no lack any more. */
  tests: RegExp;
  /** Whether they are not run at all, because not even the client they are about is there. */
  isAbsent?: true;
}

const noRequestStream: Lack = {
  what: 'stream as the body of a request (Chromium wants HTTP/2 for it), and no client gives it one',
  tests: /§5.3 The body > is a stream/,
};

const ownOrigin: Lack = {
  what: 'URL without an origin: a relative one is of the page',
  tests: /^carries any client/,
};

const noReason: Lack = {
  what: 'reason of an abort in what its own `fetch` rejects with while it sends',
  tests: /^(fetch|ky 2) > §5.5 An abort .* > during either send/,
};

/** By the names of runtimes. */
export const lacks: Record<string, Lack[]> = {
  workerd: [
    {
      what: '`http` transport of axios',
      tests: /^axios[^>]*, http >/,
      isAbsent: true,
    },
    { what: 'way to run code from a string', tests: /^§3.7 Nothing unhandled/ },
    noReason,
  ],
  Chromium: [noRequestStream, ownOrigin],
  Firefox: [noRequestStream, ownOrigin],
  WebKitGTK: [noRequestStream, ownOrigin, noReason],
};
