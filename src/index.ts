export type { FlightContext, FlightTask } from './flight.ts';
export { FlightGroup, type FlightGroupOptions, type Landing } from './flight-group.ts';
export {
  singleFlight,
  type KeyedSingleFlightOptions,
  type SingleFlight,
  type SingleFlightOptions,
} from './single-flight.ts';
export { createTokenSource, type TokenSource } from './token-source.ts';
export type {
  Connection,
  ConnectOptions,
  Exchange,
  HeaderSetter,
  Prepared,
  RequestSummary,
  SetAside,
} from './connection.ts';
export {
  sharedTokens,
  type LockGrant,
  type ReadSession,
  type SharedTokens,
  type SharedTokensOptions,
  type StoredSession,
  type TokenLocks,
  type TokenStore,
} from './shared-tokens.ts';
export type { Credential } from './credential.ts';
export type {
  RefreshContext,
  RefreshLanding,
  RefreshLimit,
  RetryOptions,
  TokenSourceOptions,
} from './token-source-options.ts';
export {
  RefreshFailedError,
  SessionExpiredError,
  TokenRefreshError,
  type TokenRefreshErrorCode,
} from './token-refresh-error.ts';
