using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Serverless.Errors;
using Serverless.Events;

namespace Serverless.EndToEndTests.Chaos;

/// <summary>Ends of promised requests, as events told them and as ids were read. Thread-safe.</summary>
internal sealed class ChaosResults(ChaosLedger ledger) : IEventHandler
{
    public const string Source = "/orders";

    private readonly ConcurrentDictionary<string, TaskCompletionSource<JsonNode>> _awaited = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, string> _ends = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, string> _promised = new(StringComparer.Ordinal);

    public IReadOnlyList<string> Topics { get; } = [EventTopics.Results];

    /// <summary>Ids that were promised and read as ended.</summary>
    public IReadOnlyDictionary<string, string> Ended => _promised;

    /// <summary>How a promised request ended; "not yet" is to be tried again.</summary>
    public static ChaosTry Judge(JsonNode request, int tokens)
    {
        var status = request["status"]!.GetValue<string>();
        if (status is "queued" or "in_progress") return ChaosTry.Again(status);
        if (status != "completed") return ChaosTry.Wrong($"{request["id"]} was promised and ended as {status}: {request["error"]?.ToJsonString()}");

        var text = request["response"]?["choices"]?[0]?["message"]?["content"]?.GetValue<string>();
        return text == ChaosEngine.Text(tokens) ? ChaosTry.Done : ChaosTry.Wrong($"{request["id"]} got another text than an undisturbed run: '{text}' for '{ChaosEngine.Text(tokens)}'");
    }

    public Task<JsonNode> Await(string id) => _awaited.GetOrAdd(id, _ => New()).Task;

    public void Promised(string id, string status) => _promised[id] = status;

    public ValueTask<BrokerVerdict> HandleAsync(CloudEvent cloudEvent, CancellationToken cancellationToken)
    {
        if (_ends.GetOrAdd(cloudEvent.Id, cloudEvent.Type) is { } before && before != cloudEvent.Type) ledger.Violate(0, ChaosKind.Event, $"{cloudEvent.Id} ended twice: {before} and {cloudEvent.Type}");
        var request = JsonNode.Parse(cloudEvent.Data.Span)!;
        if (request["event"]?["id"]?.GetValue<string>() is { } id) _awaited.GetOrAdd(id, _ => New()).TrySetResult(request);
        return ValueTask.FromResult(BrokerVerdict.Done);
    }

    private static TaskCompletionSource<JsonNode> New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
