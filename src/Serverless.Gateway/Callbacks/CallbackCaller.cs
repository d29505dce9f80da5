using System.Globalization;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Errors;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Requests;
using Serverless.Hosting.Webhooks;
using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Gateway.Callbacks;

/// <summary>Makes one callback, and notes what became of it: delivered, again later, or given up with the reason. At least once, always under the same <c>webhook-id</c>. Thread-safe.</summary>
internal sealed partial class CallbackCaller(CallbackOutbox outbox, RequestRecords records, CallbackPolicy policy, WebhookSender sender, CallbackMetrics metrics, IOptions<CallbackOptions> options, TimeProvider time, ILogger<CallbackCaller> logger)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LongestPause = TimeSpan.FromHours(2);

    /// <summary>Makes it once.</summary>
    /// <exception cref="ServingException">The store is away: it is made again when the claim has run out.</exception>
    public async Task CallAsync(StoredCallback claimed, CancellationToken cancellationToken)
    {
        var due = claimed.Due;
        var id = new RequestId(due.RequestId);
        if (await records.FindAsync(due.Owner, id, cancellationToken) is not { Record: { HasEnded: true, Callback: { } callback } record })
        {
            await outbox.RemoveAsync(claimed, cancellationToken); // the record is forgotten, and with it where to call
            return;
        }

        var url = new Uri(callback.Url);
        var answer = policy.WhyNot(url, due.Owner.Organization) is { } why
            ? new WebhookAnswer(false, MayPass: false, $"is not called: {why}")
            : await sender.SendAsync(new Webhook(url, EventIdOf(id), BodyOf(record), policy.SecretsOf(due.Owner.Organization)), cancellationToken);
        var now = time.GetUtcNow();
        if (answer.IsDelivered)
        {
            await EndAsync(claimed, id, callback with { Status = CallbackStatus.Delivered, At = now, Attempts = due.Attempts + 1, Error = null }, cancellationToken);
            return;
        }

        var again = now + PauseAfter(due.Attempts, answer.RetryAfter);
        if (answer.MayPass && again <= due.Since + options.Value.GiveUpAfter)
        {
            metrics.Made("retried");
            LogAgain(id, Shown(url), answer.Reason, due.Attempts + 1, (again - now).TotalSeconds);
            await outbox.PostponeAsync(claimed, again, cancellationToken);
            return;
        }

        LogGivenUp(id, Shown(url), answer.Reason, due.Attempts + 1);
        await EndAsync(claimed, id, callback with { Status = CallbackStatus.Failed, At = now, Attempts = due.Attempts + 1, Error = answer.Reason }, cancellationToken);
    }

    /// <summary>Of a request's end: the same however often it is sent.</summary>
    public static string EventIdOf(RequestId id) => "evt_" + id.Value;

    private async Task EndAsync(StoredCallback claimed, RequestId id, CallbackState state, CancellationToken cancellationToken)
    {
        metrics.Made(state.Status == CallbackStatus.Delivered ? "delivered" : "failed");
        while (await records.FindAsync(claimed.Due.Owner, id, cancellationToken) is { Record.Callback: not null } stored)
        {
            if (await records.ReplaceAsync(stored, stored.Record with { Callback = state }, cancellationToken)) break;
        }

        await outbox.RemoveAsync(claimed, cancellationToken);
    }

    /// <summary>Paths and queries are secrets of many receivers; they stand in the request, for its owner.</summary>
    private static string Shown(Uri url) => url.GetLeftPart(UriPartial.Authority);

    private static TimeSpan PauseAfter(int attempts, TimeSpan? asked)
    {
        var backoff = new Backoff(FirstPause, LongestPause);
        for (var i = 0; i < Math.Min(attempts, 32); i++) backoff.Next();
        var pause = backoff.Next();
        return asked is { } later && later > pause ? (later < LongestPause ? later : LongestPause) : pause;
    }

    private byte[] BodyOf(RequestRecord record)
    {
        var body = Encode(record);
        return body.Length <= options.Value.MaxBodyBytes ? body : Encode(record with { Response = null, Metadata = null });
    }

    private static byte[] Encode(RequestRecord record) => JsonBody.Encode(json =>
    {
        var ended = record.EndedAt ?? record.CreatedAt;
        json.WriteStartObject();
        json.WriteString(Names.Id, EventIdOf(new RequestId(record.Id)));
        json.WriteString("object", "event");
        json.WriteString("type", "request." + RequestObject.Word(record.Status));
        json.WriteNumber("created_at", ended.ToUnixTimeSeconds());
        json.WriteString("timestamp", ended.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture));
        json.WritePropertyName("data");
        json.WriteRawValue(RequestObject.Encode(record), skipInputValidation: true);
        json.WriteEndObject();
    });

    [LoggerMessage(LogLevel.Information, "The callback of {Request} to {Server} was not delivered: it {Reason}. Try {Tries} failed; the next is in {Seconds:0} s.")]
    private partial void LogAgain(RequestId request, string server, string reason, int tries, double seconds);

    [LoggerMessage(LogLevel.Warning, "The callback of {Request} to {Server} is given up: it {Reason} ({Tries} tries). POST /v1/requests/ID/callback makes it again.")]
    private partial void LogGivenUp(RequestId request, string server, string reason, int tries);
}
