using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Serverless.Errors;
using Serverless.Gateway.Admission;
using Serverless.Requests;

namespace Serverless.Gateway.Requests;

/// <summary>
/// Gives ids. The order is the promise: its record is saved, its message is on disk, the log knows that an id promises it; only then is the id given. Every step may be repeated. Thread-safe.
/// </summary>
internal sealed partial class PromisedRequests(RequestRecords records, IRequestLog log, IRequestQueue queue, ILogger<PromisedRequests> logger)
{
    /// <summary>What a record has of an output token, about: its text, as JSON escapes it.</summary>
    private const int TokenBytes = 8;

    /// <summary>And of each log-probability: token, its bytes in digits, the number.</summary>
    private const int LogProbBytes = 96;

    /// <summary>Why no id can promise its answer, or null: as long as it may become, by its choices, its cap of tokens and its log-probabilities, the store would not take it.</summary>
    public ServingFault? WhyNotKept(Admitted admitted)
    {
        var (request, shape) = (admitted.Request, admitted.Shape);
        var perToken = TokenBytes + (shape.LogProbs ? LogProbBytes * (1 + shape.TopLogProbs) : 0);
        var echoed = shape.LogProbs && shape.Echo.Count > 0 ? request.PromptTokens / shape.Echo.Count : 0;
        var bytes = (long)request.Choices * (request.MaxOutputTokens + echoed) * perToken;
        if (bytes <= records.MostBytes) return null;

        return new ServingFault(
            ServingError.InvalidRequest,
            string.Create(
                CultureInfo.InvariantCulture,
                $"{request.Choices} choices of {request.MaxOutputTokens} tokens{(shape.LogProbs ? $" with {1 + shape.TopLogProbs} log-probabilities each" : "")} may be a result of {bytes} bytes; {records.MostBytes} are kept under an id. Give a 'max_tokens' of at most {records.MostBytes / ((long)request.Choices * perToken)}, lower 'n' or 'top_logprobs', or ask without an id."),
            "max_tokens");
    }

    /// <summary>A request's record before its end.</summary>
    public static RequestRecord RecordOf(InferenceRequest request, EventOrigin? origin, JsonElement? metadata, Uri? callback = null) => new()
    {
        Id = request.Id.Value,
        Endpoint = request.Endpoint,
        Model = request.Model.Value,
        Owner = request.Owner,
        CreatedAt = request.AcceptedAt,
        Deadline = request.Deadline,
        Shape = request.Shape.ToArray(),
        Origin = origin,
        Metadata = metadata,
        Callback = callback is null ? null : new CallbackState(callback.AbsoluteUri, CallbackStatus.Pending),
    };

    /// <summary>Takes a request under an id from the start.</summary>
    /// <exception cref="ServingException">It is refused, or cannot be kept: no id is given and nothing runs.</exception>
    public async Task PromiseAsync(InferenceRequest request, Call call, CancellationToken cancellationToken)
    {
        var promised = Promised(request);
        var isNew = await records.TryCreateAsync(RecordOf(request, call.Origin, call.Metadata, call.Callback), cancellationToken);
        await log.OpenAsync(request.Id, LogHead.Of(promised), cancellationToken);
        if ((await queue.EnqueueAsync(promised, cancellationToken)).Fault is not { } fault) return;

        // An event comes again under the same id, whose log must then still be open. Its record is there from then on if the queue may have it: that is what is told by.
        if (call.Origin is null) await TakeBackAsync(request, fault);
        else if (isNew && fault.Error != ServingError.StoreUnavailable) await records.ForgetAsync(request.Owner, request.Id, CancellationToken.None);
        throw new ServingException(fault);
    }

    /// <summary>Whether an id promises the request now: it did before, or it does so from now on.</summary>
    public async Task<bool> IsByIdAsync(Ticket ticket, CancellationToken cancellationToken) =>
        ticket.Head.Promise == Promise.Id || await PromoteAsync(ticket, cancellationToken) == Promotion.Promoted;

    /// <summary>Turns the promise of a connection, whose request runs or waits, into an id's. Nothing runs twice: the queue and the dispatcher know the id.</summary>
    public async Task<Promotion> PromoteAsync(Ticket ticket, CancellationToken cancellationToken)
    {
        var request = ticket.Request!;
        try
        {
            await records.CreateAsync(RecordOf(request, null, null, ticket.Callback), cancellationToken);
            if ((await queue.EnqueueAsync(Promised(request), cancellationToken)).Fault is { } fault) throw new ServingException(fault);

            switch (await log.HoldAsync(request.Id, Promise.Id, "", cancellationToken))
            {
                case HoldResult.Ended:
                    return Promotion.Ended;
                case HoldResult.Unknown:
                    // The store lost the log; the message on disk is now all there is, and runs in a new one.
                    await log.OpenAsync(request.Id, ticket.Head with { Promise = Promise.Id, Holder = "" }, cancellationToken);
                    return Promotion.Promoted;
                default:
                    return Promotion.Promoted;
            }
        }
        catch (ServingException e)
        {
            LogNotPromoted(request.Id, e.Message);
            return Promotion.Unavailable;
        }
    }

    private static InferenceRequest Promised(InferenceRequest request) => request with { Promise = Promise.Id, Holder = "", Resumable = true };

    /// <summary>No id was given. What cannot be taken back now is harmless: a log that ends at its deadline, a record that is never asked for.</summary>
    private async Task TakeBackAsync(InferenceRequest request, ServingFault fault)
    {
        try
        {
            await log.EndAsync(request.Id, new RequestEvent.Failed(fault), CancellationToken.None);
            await records.ForgetAsync(request.Owner, request.Id, CancellationToken.None);
        }
        catch (ServingException e)
        {
            LogNotTakenBack(request.Id, e.Message);
        }
    }

    [LoggerMessage(LogLevel.Warning, "No id can be given for {Request} now, so its connection keeps it: {Reason}")]
    private partial void LogNotPromoted(RequestId request, string reason);

    [LoggerMessage(LogLevel.Warning, "{Request} was refused, but its record could not be taken back; it shows as failed after its deadline: {Reason}")]
    private partial void LogNotTakenBack(RequestId request, string reason);
}

/// <summary>What became of turning a connection's promise into an id's.</summary>
internal enum Promotion
{
    /// <summary>An id promises it now.</summary>
    Promoted,

    /// <summary>It has ended meanwhile: its answer is there.</summary>
    Ended,

    /// <summary>A store or broker cannot be reached: the connection keeps it.</summary>
    Unavailable,
}
