import { Failure } from '../../base/errors.js';

/*
 * THE row per error that the endpoint answers: its HTTP status (reference section 2.2). Modelled errors are the
 * service's own; the others are those that every AWS service has.
 */

export const modelledErrors = {
  CloudHsmAccessDeniedException: 400,
  CloudHsmInternalFailureException: 500,
  CloudHsmInvalidRequestException: 400,
  CloudHsmServiceException: 400,
  CloudHsmResourceNotFoundException: 400,
  CloudHsmTagException: 400,
  CloudHsmResourceLimitExceededException: 400,
} as const;

export const commonErrors = {
  AccessDeniedException: 403,
  ExpiredTokenException: 403,
  IncompleteSignatureException: 403,
  InvalidSignatureException: 403,
  MissingAuthenticationTokenException: 403,
  RequestExpired: 400,
  UnrecognizedClientException: 403,
  MalformedHttpRequestException: 400,
  RequestEntityTooLargeException: 413,
  RequestTimeoutException: 408,
  SerializationException: 400,
  ServiceUnavailable: 503,
  UnknownOperationException: 404,
} as const;

export type ModelledError = keyof typeof modelledErrors;
export type ErrorName = ModelledError | keyof typeof commonErrors;

export const errorStatus: Readonly<Record<ErrorName, number>> = { ...modelledErrors, ...commonErrors };

/** What a client is answered in place of a result. */
export class ServiceError extends Error {
  constructor(
    readonly code: ErrorName,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.name = 'ServiceError';
  }

  get status(): number {
    return errorStatus[this.code];
  }
}

/** The answer to whatever the service does not do: values, states, quotas. */
export const invalidRequest = (message: string): ServiceError =>
  new ServiceError('CloudHsmInvalidRequestException', message);

export const notFound = (what: string): ServiceError =>
  new ServiceError('CloudHsmResourceNotFoundException', `${what} was not found.`);

/** What a gate refuses, as clients of the API are told of it. */
export function asServiceError(error: unknown): unknown {
  if (!(error instanceof Failure) || !Object.hasOwn(modelledErrors, error.code)) return error;
  return new ServiceError(error.code as ModelledError, error.message, { cause: error });
}
