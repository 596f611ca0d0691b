/** Something that a runtime has not got, and the tests that need it. */
export interface Lack {
  what: string;
  /** Those that must fail there: one that does not is no lack any more. */
  tests: RegExp;
  /** Whether they are not run at all, because not even the client they are about is there. */
  isAbsent?: true;
}

/** Chromium has them over HTTP/2 and later, where a page cannot be without a certificate. */
const noRequestStream: Lack = {
  what: 'stream as the body of a request, over HTTP/1.1',
  tests: /§5.3 The body > is a stream/,
};

/** The same, but for ky, which makes a `Request` first. */
const noRequestStreamToFetch: Lack = {
  ...noRequestStream,
  tests: /^(fetch|axios[^>]*) > §5.3 The body > is a stream/,
};

const noUrlWithoutOrigin: Lack = {
  what: "URL without an origin, which is never given the token: a relative one is the page's",
  tests: /^carries any client/,
};

/** An error of its own stands in its place. ky 1 and axios reject with theirs, or with the reason. */
const noReason: Lack = {
  what: 'reason of an abort in what its `fetch` rejects with while it sends',
  tests: /^(fetch|ky 2) > §5.5 An abort .* > during either send/,
};

/** By the names of runtimes. A run of all writes them into docs/proof.md. */
export const lacks: Record<string, Lack[]> = {
  workerd: [
    { what: '`http` transport of axios', tests: /^axios[^>]*, http >/, isAbsent: true },
    { what: 'way to run code from a string', tests: /^§3.7 Nothing unhandled/ },
    noReason,
  ],
  Chromium: [noRequestStream, noUrlWithoutOrigin],
  Firefox: [noRequestStream, noUrlWithoutOrigin],
  WebKitGTK: [noRequestStreamToFetch, noUrlWithoutOrigin, noReason],
};
