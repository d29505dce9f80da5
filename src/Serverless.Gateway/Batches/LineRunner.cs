using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Serverless.Batches;
using Serverless.Errors;
using Serverless.Gateway.Admission;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Requests;
using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Gateway.Batches;

/// <summary>Asks for one line of a batch through the request service, in the lane that takes what the others leave, until it is answered or never will be. Thread-safe.</summary>
internal sealed class LineRunner(RequestService requests, ByteBudget budget, TimeProvider time)
{
    /// <summary>An engine may fail on a line so often.</summary>
    private const int MostFailures = 4;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    /// <param name="batch">Whose line it is.</param>
    /// <param name="number">Which, from 0.</param>
    /// <param name="text">The line.</param>
    /// <param name="pushedBack">Told each time that there was no room for it.</param>
    /// <param name="cancellationToken">Ends it; what runs is cancelled.</param>
    public async Task<LineResult> RunAsync(Batch batch, int number, byte[] text, Action pushedBack, CancellationToken cancellationToken)
    {
        if (BatchLine.Read(text, number + 1, batch.Endpoint, out var error) is not { } line) throw new BatchBrokenException($"Line {number + 1} of the plan of batch '{batch.Id}' cannot be read: {error?.Message}");

        var api = ApiEndpoint.ByPath(batch.Endpoint)!;
        var backoff = new Backoff(FirstPause, LongestPause);
        for (var attempt = 0; ; attempt++)
        {
            var id = IdOf(api, batch, number, attempt);
            try
            {
                var (body, usage) = await AskAsync(batch, api, id, line, cancellationToken);
                return LineResult.Answered(number, Encode(batch, number, line.CustomId, id, 200, body), usage);
            }
            catch (ServingException exception) when (MayPass(exception.Fault, attempt) && time.GetUtcNow() < batch.ExpiresAt)
            {
                pushedBack();
                await Task.Delay(backoff.Next(), time, cancellationToken);
            }
            catch (ServingException exception)
            {
                return LineResult.Faulty(number, Encode(batch, number, line.CustomId, id, ServingErrors.Row(exception.Fault.Error).HttpStatus, ErrorBody.Encode(exception.Fault)));
            }
        }
    }

    /// <summary>A line that did not run before the window was over.</summary>
    public static LineResult Expired(Batch batch, int number, byte[] text)
    {
        var id = BatchLine.Read(text, number + 1, batch.Endpoint, out _) is { } line ? line.CustomId : "";
        return LineResult.Faulty(number, JsonBody.Encode(json =>
        {
            json.WriteStartObject();
            json.WriteString(Names.Id, NameOf(batch, number));
            json.WriteString("custom_id", id);
            json.WriteNull("response");
            json.WriteStartObject("error");
            json.WriteString("code", "batch_expired");
            json.WriteString(Names.Message, "This request could not be executed before the completion window expired.");
            json.WriteEndObject();
            json.WriteEndObject();
        }));
    }

    /// <summary>Whether the same line may fare better in a while: not where the request itself is at fault, nor where engines failed on it again and again.</summary>
    private static bool MayPass(ServingFault fault, int attempt) =>
        ServingErrors.Row(fault.Error).Broker == BrokerAnswer.Retry && (fault.Error is not (ServingError.Internal or ServingError.EngineFailed) || attempt + 1 < MostFailures);

    private static RequestId IdOf(ApiEndpoint api, Batch batch, int number, int attempt) =>
        RequestId.Derive(api.IdPrefix, Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{batch.Id} {number} {batch.Progress.Epoch} {attempt}")));

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
}

/// <summary>What became of a line: its line of the output, or of the errors.</summary>
/// <param name="Number">Which, from 0.</param>
/// <param name="Line">As it is written.</param>
/// <param name="IsFaulty">Whether it is one of the errors.</param>
/// <param name="Usage">What its answer took; null: it has none.</param>
internal sealed record LineResult(int Number, byte[] Line, bool IsFaulty, TokenUsage? Usage)
{
    public static LineResult Answered(int number, byte[] line, TokenUsage usage) => new(number, line, IsFaulty: false, usage);

    public static LineResult Faulty(int number, byte[] line) => new(number, line, IsFaulty: true, null);
}
