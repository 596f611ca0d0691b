/** What is used of packages that only this folder installs, so that all else needs no types of theirs. */
declare module '@sinonjs/fake-timers' {
  export interface Clock {
    setSystemTime(now: number | Date): void;
    countTimers(): number;
    tick(milliseconds: number): void;
    tickAsync(milliseconds: number): Promise<number>;
    uninstall(): void;
  }
  export function install(options: {
    now: number | Date;
    toFake: string[];
    ignoreMissingTimers: boolean;
  }): Clock;
}
