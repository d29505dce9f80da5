using System.Collections.Frozen;

namespace Serverless.Errors;

/// <summary>The one table from an error to what HTTP, OpenAI clients, gRPC, brokers and the log are told.</summary>
public static class ServingErrors
{
    private const string Invalid = "invalid_request_error";
    private const string Server = "server_error";
    private const string Unavailable = "service_unavailable_error";

    /// <summary>Every row, in the order of <see cref="ServingError"/>.</summary>
    public static IReadOnlyList<ErrorRow> All { get; } =
    [
        Row(ServingError.InvalidRequest, 400, Invalid, null, 3, BrokerAnswer.DeadLetter, ErrorSeverity.Debug),
        Row(ServingError.BodyTooLarge, 413, Invalid, "body_too_large", 8, BrokerAnswer.DeadLetter, ErrorSeverity.Debug),
        Row(ServingError.UnsupportedContentType, 415, Invalid, "unsupported_content_type", 3, BrokerAnswer.DeadLetter, ErrorSeverity.Debug),
        Row(ServingError.MethodNotAllowed, 405, Invalid, "method_not_allowed", 12, BrokerAnswer.DeadLetter, ErrorSeverity.Debug),
        Row(ServingError.RouteNotFound, 404, Invalid, "unknown_url", 12, BrokerAnswer.DeadLetter, ErrorSeverity.Debug),
        Row(ServingError.ModelNotFound, 404, Invalid, "model_not_found", 5, BrokerAnswer.DeadLetter, ErrorSeverity.Debug),
        Row(ServingError.ContextTooLong, 400, Invalid, "context_length_exceeded", 3, BrokerAnswer.DeadLetter, ErrorSeverity.Debug),
        Row(ServingError.QueueFull, 429, "rate_limit_error", "queue_full", 8, BrokerAnswer.Retry, ErrorSeverity.Information, 5),
        Row(ServingError.DeadlineExceeded, 504, Server, "deadline_exceeded", 4, BrokerAnswer.DeadLetter, ErrorSeverity.Information, 5),
        Row(ServingError.NoCapacity, 503, Unavailable, "no_capacity", 14, BrokerAnswer.Retry, ErrorSeverity.Warning, 30),
        Row(ServingError.EngineFailed, 502, Server, "engine_failed", 13, BrokerAnswer.Retry, ErrorSeverity.Error, 1),
        Row(ServingError.OutputTooLarge, 400, Invalid, "output_too_large", 8, BrokerAnswer.DeadLetter, ErrorSeverity.Information),
        Row(ServingError.Poisoned, 500, Server, "request_poisoned", 10, BrokerAnswer.DeadLetter, ErrorSeverity.Error),
        Row(ServingError.LogExpired, 410, Invalid, "events_expired", 11, BrokerAnswer.DeadLetter, ErrorSeverity.Debug),
        Row(ServingError.Cancelled, 499, Invalid, "request_cancelled", 1, BrokerAnswer.Acknowledge, ErrorSeverity.Debug),
        Row(ServingError.ShuttingDown, 503, Unavailable, "shutting_down", 14, BrokerAnswer.Retry, ErrorSeverity.Information, 1),
        Row(ServingError.StoreUnavailable, 503, Unavailable, "store_unavailable", 14, BrokerAnswer.Retry, ErrorSeverity.Warning, 5),
        Row(ServingError.InvalidApiKey, 401, Invalid, "invalid_api_key", 16, BrokerAnswer.DeadLetter, ErrorSeverity.Debug),
        Row(ServingError.NotPermitted, 403, Invalid, "not_permitted", 7, BrokerAnswer.DeadLetter, ErrorSeverity.Debug),
        Row(ServingError.RequestNotFound, 404, Invalid, "request_not_found", 5, BrokerAnswer.DeadLetter, ErrorSeverity.Debug),
        Row(ServingError.FileNotFound, 404, Invalid, null, 5, BrokerAnswer.DeadLetter, ErrorSeverity.Debug),
        Row(ServingError.BatchNotFound, 404, Invalid, null, 5, BrokerAnswer.DeadLetter, ErrorSeverity.Debug),
        Row(ServingError.FileTooLarge, 413, Invalid, "file_too_large", 8, BrokerAnswer.DeadLetter, ErrorSeverity.Debug),
        Row(ServingError.StorageFull, 400, Invalid, "storage_limit_exceeded", 8, BrokerAnswer.DeadLetter, ErrorSeverity.Debug),
        Row(ServingError.IdempotencyConflict, 400, Invalid, "idempotency_key_reused", 9, BrokerAnswer.DeadLetter, ErrorSeverity.Debug),
        Row(ServingError.DeadlineUnreachable, 503, Unavailable, "deadline_unreachable", 14, BrokerAnswer.Retry, ErrorSeverity.Information, 30),
        Row(ServingError.MalformedMessage, 400, Invalid, "malformed_message", 3, BrokerAnswer.DeadLetter, ErrorSeverity.Warning),
        Row(ServingError.Internal, 500, Server, "internal_error", 13, BrokerAnswer.Retry, ErrorSeverity.Error, 1),
    ];

    private static readonly FrozenDictionary<ServingError, ErrorRow> ByError = All.ToFrozenDictionary(row => row.Error);

    /// <summary>The row of <paramref name="error"/>; every value has one.</summary>
    public static ErrorRow Row(ServingError error) => ByError[error];

    /// <summary>What went wrong, as a word that stays the same, also where OpenAI has none.</summary>
    public static string WordOf(ServingFault fault) => fault.Code ?? Row(fault.Error).Code ?? "invalid_request";

    private static ErrorRow Row(
        ServingError error, int http, string type, string? code, int grpc, BrokerAnswer broker, ErrorSeverity severity, int? retrySeconds = null) =>
        new(error, http, type, code, grpc, broker, severity, retrySeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : null);
}
