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
  what: 'a stream as the body of a request, over HTTP/1.1',
  tests: /§5.3 The body > is a stream/,
};

/** The same, but for ky, which makes a `Request` first. */
const noRequestStreamToFetch: Lack = {
  ...noRequestStream,
  tests: /^(fetch|axios[^>]*) > §5.3 The body > is a stream/,
};

const noUrlWithoutOrigin: Lack = {
  what: "a URL without an origin, which gets no token: in a page a relative one has the page's",
  tests: /^carries any client/,
};

/** An error of its own stands in its place. ky 1 and axios reject with theirs, or with the reason. */
const noReason: Lack = {
  what: 'the reason of an abort in what its own `fetch` rejects with, once it has sent',
  tests: /^(fetch|ky 2) > §5.5 An abort .* > during either send/,
};

/** By the names of runtimes. A run of all writes them into docs/proof.md. */
export const lacks: Record<string, Lack[]> = {
  workerd: [
    {
      what: 'the `http` transport of axios, which is of Node',
      tests: /^axios[^>]*, http >/,
      isAbsent: true,
    },
    noReason,
  ],
  Chromium: [noRequestStream, noUrlWithoutOrigin],
  Firefox: [noRequestStream, noUrlWithoutOrigin],
  WebKitGTK: [noRequestStreamToFetch, noUrlWithoutOrigin, noReason],
};
