using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Gateway.Holding;

/// <summary>Opens logs and puts requests into their queue. Thread-safe.</summary>
internal sealed partial class Submitter(IRequestLog log, IRequestQueue queue, IOptions<HoldingOptions> options, TimeProvider time, ILogger<Submitter> logger)
{
    private static readonly TimeSpan OpenBackOff = TimeSpan.FromMilliseconds(200);

    public Submission NewSubmission() => new(options.Value.AcceptTimeout, options.Value.Silence);

    /// <summary>Opens the log, with some patience for one that cannot be reached: whoever takes the request from the queue must find it.</summary>
    /// <exception cref="ServingException"><see cref="ServingError.StoreUnavailable"/>: the patience or the request's deadline is over.</exception>
    public async Task OpenAsync(RequestId id, LogHead head, CancellationToken cancellationToken)
    {
        var until = time.GetUtcNow() + options.Value.OpenPatience;
        if (head.Deadline < until) until = head.Deadline;
        while (true)
        {
            try
            {
                await log.OpenAsync(id, head, cancellationToken);
                return;
            }
            catch (ServingException e) when (e.Fault.Error == ServingError.StoreUnavailable && time.GetUtcNow() + OpenBackOff < until)
            {
                await Task.Delay(OpenBackOff, time, cancellationToken);
            }
        }
    }

    /// <summary>Puts the request into its queue. What the caller is to know is in the answer; nothing is thrown but by cancellation and faults of ours.</summary>
    public async Task<EnqueueResult> EnqueueAsync(InferenceRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return await queue.EnqueueAsync(request, cancellationToken);
        }
        catch (ServingException e)
        {
            return new EnqueueResult(e.Fault);
        }
    }

    /// <summary>Again: the log first, for the store may have lost it.</summary>
    public async Task<EnqueueResult> ResubmitAsync(InferenceRequest request, LogHead head, CancellationToken cancellationToken)
    {
        LogAgain(request.Id);
        try
        {
            await log.OpenAsync(request.Id, head, cancellationToken);
            return await EnqueueAsync(request, cancellationToken);
        }
        catch (ServingException e)
        {
            return new EnqueueResult(e.Fault);
        }
    }

    [LoggerMessage(LogLevel.Information, "Submitted {Request} again: it was not accepted in time, or nothing is heard of it.")]
    private partial void LogAgain(RequestId request);
}
