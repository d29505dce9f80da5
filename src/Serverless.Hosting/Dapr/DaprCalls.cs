using Grpc.Core;
using Microsoft.Extensions.Options;
using Serverless.Errors;

namespace Serverless.Hosting.Dapr;

/// <summary>Runs a call of the sidecar within a bounded time and says in one way that it could not be reached.</summary>
internal sealed class DaprCalls(IOptions<DaprOptions> options, TimeProvider time)
{
    private readonly TimeSpan _timeout = options.Value.Timeout;
    private readonly int _most = options.Value.MaxMessageBytes;

    /// <remarks>Whatever the client or the sidecar makes of it: what is not a mistake of ours means that the store or broker behind it is not to be had.</remarks>
    /// <exception cref="ServingException"><see cref="ServingError.StoreUnavailable"/>: no answer in time, or one that says it cannot; <see cref="ServingError.OutputTooLarge"/>: what was sent or asked for is longer than one message may be, however often it is tried.</exception>
    public async Task<T> RunAsync<T>(string what, Func<CancellationToken, Task<T>> call, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(_timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            // The client looks at its token only between its own steps; the wait must not depend on them.
            return await call(either.Token).WaitAsync(either.Token);
        }
        catch (Exception exception) when (exception is not (ArgumentException or NullReferenceException or InvalidCastException or ServingException))
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw IsTooLarge(exception) ? TooLarge(what, exception) : Unreachable(what, exception);
        }
    }

    /// <summary>Said by gRPC on either side of a message's length, and by nobody else.</summary>
    private static bool IsTooLarge(Exception? exception) => exception switch
    {
        null => false,
        RpcException { StatusCode: StatusCode.ResourceExhausted, Status.Detail: var detail } => detail.Contains("larger than", StringComparison.OrdinalIgnoreCase) || detail.Contains("exceeds", StringComparison.OrdinalIgnoreCase),
        _ => IsTooLarge(exception.InnerException),
    };

    private ServingException TooLarge(string what, Exception exception) => new(
        new ServingFault(ServingError.OutputTooLarge, $"{what} takes no message of this size: {exception.GetBaseException().Message} The limits are {DaprOptions.Section}:{nameof(DaprOptions.MaxMessageBytes)}, {_most} here, and the sidecar's max-body-size; raise both, or ask for less."),
        exception);

    /// <summary>No answer in time, ours or that of the sidecar, which gives up on its components.</summary>
    private static bool IsSilence(Exception exception) => exception switch
    {
        OperationCanceledException or TimeoutException => true,
        RpcException { StatusCode: StatusCode.DeadlineExceeded or StatusCode.Cancelled or StatusCode.Unavailable } => true,
        RpcException { Status.Detail: var detail } when detail.Contains("deadline exceeded", StringComparison.OrdinalIgnoreCase) || detail.Contains("timeout", StringComparison.OrdinalIgnoreCase) => true,
        { InnerException: { } inner } => IsSilence(inner),
        _ => false,
    };

    public static ServingException Unreachable(string what, Exception? exception) => new(
        new ServingFault(ServingError.StoreUnavailable, $"{what} cannot be reached, so nothing was promised; try again."),
        exception is not null && IsSilence(exception) ? new TimeoutException($"{what} did not answer in time.", exception) : exception);
}
