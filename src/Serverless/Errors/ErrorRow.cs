namespace Serverless.Errors;

/// <summary>What every face says of one <see cref="ServingError"/>.</summary>
/// <param name="Error">The error this row is for.</param>
/// <param name="HttpStatus">HTTP status code, where no byte of the answer has been sent.</param>
/// <param name="Type">OpenAI error type.</param>
/// <param name="Code">OpenAI error code, or null where OpenAI gives none.</param>
/// <param name="GrpcStatus">gRPC status code by number.</param>
/// <param name="Broker">What a broker is told.</param>
/// <param name="Severity">How loudly it is logged.</param>
/// <param name="RetryAfter">Default delay before a retry is worth it, at most 60 s (clients ignore more); null where a retry cannot help.</param>
public sealed record ErrorRow(
    ServingError Error,
    int HttpStatus,
    string Type,
    string? Code,
    int GrpcStatus,
    BrokerAnswer Broker,
    ErrorSeverity Severity,
    TimeSpan? RetryAfter);
