using Serverless.Dispatching;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Tests.Dispatching;

/// <summary>Entries for a backlog without a queue behind them.</summary>
internal static class BacklogScene
{
    public static BacklogEntry Entry(
        string organization = "org", string team = "team", string key = "key", Lane lane = Lane.Interactive, int prompt = 10, int output = 10, string? conversation = null, int at = 0) =>
        new(
            new Delivery(TestRequests.New() with
            {
                Owner = new Owner(organization, team, key),
                Lane = lane,
                PromptTokens = prompt,
                Conversation = conversation,
                AcceptedAt = TestRequests.Deadline.AddSeconds(at - 600),
            }),
            output);

    /// <summary>What fairness charges: an output token weighs as two prompt tokens.</summary>
    public static double Cost(BacklogEntry entry) => entry.Request.PromptTokens + (2.0 * entry.ExpectedOutputTokens);

    /// <summary>Puts one in as it is delivered.</summary>
    public static void Put(this Backlog backlog, BacklogEntry entry)
    {
        backlog.Line(entry, byAge: false);
        backlog.Add(entry);
    }

    /// <summary>Takes the next one out and runs it to its end.</summary>
    public static BacklogEntry Serve(this Backlog backlog)
    {
        var entry = backlog.Peek()!;
        backlog.Take(entry);
        backlog.Settle(entry, entry.ExpectedOutputTokens);
        return entry;
    }

    private sealed class Delivery(InferenceRequest request) : IRequestDelivery
    {
        public InferenceRequest Request => request;

        public bool Redelivered => false;

        public ValueTask CompleteAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask ReturnAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask DeadLetterAsync(ServingFault reason, int attempts, CancellationToken cancellationToken) => ValueTask.CompletedTask;
    }
}
