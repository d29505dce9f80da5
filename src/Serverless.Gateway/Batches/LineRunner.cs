using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;
using Serverless.Batches;
using Serverless.Errors;
using Serverless.Gateway.Admission;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Requests;
using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Gateway.Batches;

/// <summary>Asks for one line of a batch through the request service, in the lane that takes what the others leave, until it is answered or never will be. Thread-safe.</summary>
internal sealed partial class LineRunner(RequestService requests, ByteBudget budget, TimeProvider time, ILogger<LineRunner> logger)
{
    /// <summary>A line may fail so often.</summary>
    private const int MostFailures = 4;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    /// <param name="batch">Whose line it is.</param>
    /// <param name="run">Who asks.</param>
    /// <param name="number">Which, from 0.</param>
    /// <param name="text">The line.</param>
    /// <param name="pushedBack">Told each time that there was no room for it.</param>
    /// <param name="cancellationToken">Ends it; what runs is cancelled.</param>
    /// <exception cref="OperationCanceledException">It was ended; nothing else is thrown.</exception>
    public async Task<LineResult> RunAsync(Batch batch, BatchRunId run, int number, byte[] text, Action pushedBack, CancellationToken cancellationToken)
    {
        if (BatchLine.Read(text, number + 1, batch.Endpoint, out var error) is not { } line) return Faulty(batch, number, "", RequestId.New("line-"), new ServingFault(ServingError.InvalidRequest, error!.Message));

        var api = ApiEndpoint.ByPath(batch.Endpoint)!;
        var backoff = new Backoff(FirstPause, LongestPause);
        for (var (attempt, failures) = (0, 0); ; attempt++)
        {
            var id = RequestId.Derive(api.IdPrefix, Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{batch.Id} {run} {number} {attempt}")));
            ServingFault fault;
            try
            {
                var (body, usage) = await AskAsync(batch, api, id, line, cancellationToken);
                return new LineResult(number, Encode(batch, number, line.CustomId, id, 200, body), LineOutcome.Answered, usage);
            }
            catch (ServingException exception)
            {
                cancellationToken.ThrowIfCancellationRequested(); // what it was ended with is no answer
                fault = exception.Fault;
            }
            catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
            {
                LogFailed(exception, number + 1, batch.Id);
                fault = RequestFaults.Internal;
            }

            if (fault.Error == ServingError.DeadlineExceeded || (time.GetUtcNow() >= batch.ExpiresAt && MayPass(fault, failures))) return Expired(batch, number, line.CustomId);
            if (!MayPass(fault, failures)) return Faulty(batch, number, line.CustomId, id, fault);

            if (IsFailure(fault)) failures++;
            else pushedBack();
            await Task.Delay(backoff.Next(), time, cancellationToken);
        }
    }

    /// <summary>A line that did not run before the window was over.</summary>
    public static LineResult Expired(Batch batch, int number, byte[] text) => Expired(batch, number, BatchLine.Read(text, number + 1, batch.Endpoint, out _) is { } line ? line.CustomId : "");

    private static LineResult Expired(Batch batch, int number, string customId) => new(
        number,
        JsonBody.Encode(json =>
        {
            json.WriteStartObject();
            json.WriteString(Names.Id, NameOf(batch, number));
            json.WriteString("custom_id", customId);
            json.WriteNull("response");
            json.WriteStartObject("error");
            json.WriteString("code", "batch_expired");
            json.WriteString(Names.Message, "This request could not be executed before the completion window expired.");
            json.WriteEndObject();
            json.WriteEndObject();
        }),
        LineOutcome.Expired,
        null);

    private static LineResult Faulty(Batch batch, int number, string customId, RequestId id, ServingFault fault) =>
        new(number, Encode(batch, number, customId, id, ServingErrors.Row(fault.Error).HttpStatus, ErrorBody.Encode(fault)), LineOutcome.Failed, null);

    /// <summary>Whether the same line may fare better in a while: not where the request itself is at fault, nor where it failed again and again.</summary>
    private static bool MayPass(ServingFault fault, int failures) => IsFailure(fault) ? failures + 1 < MostFailures : ServingErrors.Row(fault.Error).Broker == BrokerAnswer.Retry;

    /// <summary>Whether it ran and failed, or was ended by others: of a gateway that seemed to be gone, or an operator. The rest that may pass was not begun.</summary>
    private static bool IsFailure(ServingFault fault) => fault.Error is ServingError.Internal or ServingError.EngineFailed or ServingError.Cancelled or ServingError.LogExpired;

    private static string NameOf(Batch batch, int number) =>
        "batch_req_" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{batch.Id} {number}"))))[..32];

    private static byte[] Encode(Batch batch, int number, string customId, RequestId id, int status, ReadOnlyMemory<byte> body) => JsonBody.Encode(json =>
    {
        json.WriteStartObject();
        json.WriteString(Names.Id, NameOf(batch, number));
        json.WriteString("custom_id", customId);
        json.WriteStartObject("response");
        json.WriteNumber("status_code", status);
        json.WriteString("request_id", id.Value);
        json.WritePropertyName("body");
        json.WriteRawValue(body.Span, skipInputValidation: true);
        json.WriteEndObject();
        json.WriteNull("error");
        json.WriteEndObject();
    });

    private async Task<(ReadOnlyMemory<byte> Body, TokenUsage Usage)> AskAsync(Batch batch, ApiEndpoint api, RequestId id, BatchLine line, CancellationToken cancellationToken)
    {
        var organization = batch.Owner.Organization;
        if (!budget.TryTake(organization, line.Body.Length)) throw new ServingException(new ServingFault(ServingError.QueueFull, "This gateway holds as many bytes of requests as it may."));

        try
        {
            var call = new Call { Id = id, Endpoint = api.Name, Owner = batch.Owner, Body = line.Body, HighestLane = Lane.Batch, Until = batch.ExpiresAt, IsKept = true };
            return await requests.SubmitAsync(call, cancellationToken) is Submitted.Taken taken ? await FollowAsync(taken.Ticket, cancellationToken) : throw new InvalidOperationException("A line of a batch was given an id.");
        }
        finally
        {
            budget.Return(organization, line.Body.Length);
        }
    }

    private async Task<(ReadOnlyMemory<byte> Body, TokenUsage Usage)> FollowAsync(Ticket ticket, CancellationToken cancellationToken)
    {
        var output = new WholeOutput(ticket.Shape);
        try
        {
            await foreach (var step in requests.FollowAsync(ticket, cancellationToken))
            {
                switch (step)
                {
                    case { Kind: FollowKind.Failed }:
                        throw new ServingException(step.Fault!);
                    case { Kind: FollowKind.Event, Logged.Event: RequestEvent.Chunk chunk } when !output.TryAppend(step.Logged.Sequence, chunk):
                        ticket.Fault = RequestFaults.Gap;
                        throw new ServingException(RequestFaults.Gap);
                    case { Kind: FollowKind.Event, Logged.Event: RequestEvent.Finished finished }:
                        return (output.Encode(finished.Usage), finished.Usage);
                    case { Kind: FollowKind.Event, Logged.Event.IsTerminal: true }:
                        throw new ServingException(ticket.Fault!);
                    default:
                        break;
                }
            }

            throw new ServingException(RequestFaults.Internal);
        }
        finally
        {
            await requests.LeaveAsync(ticket);
        }
    }

    [LoggerMessage(LogLevel.Error, "Line {Line} of {Batch} failed in the gateway.")]
    private partial void LogFailed(Exception exception, int line, string batch);
}

/// <summary>What became of a line: its line of the output, or of the errors.</summary>
/// <param name="Number">Which, from 0.</param>
/// <param name="Line">As it is written.</param>
/// <param name="Outcome">Which of them.</param>
/// <param name="Usage">What its answer took; null: it has none.</param>
internal sealed record LineResult(int Number, byte[] Line, LineOutcome Outcome, TokenUsage? Usage);

/// <summary>How a line ended.</summary>
internal enum LineOutcome
{
    /// <summary>With an answer.</summary>
    Answered,

    /// <summary>Refused, or failed.</summary>
    Failed,

    /// <summary>Not before the window was over.</summary>
    Expired,
}
