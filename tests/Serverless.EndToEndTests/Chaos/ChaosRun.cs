using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using RabbitMQ.Client;
using Serverless.Events;
using Serverless.Hosting.Records;
using Serverless.Requests;
using StackExchange.Redis;

namespace Serverless.EndToEndTests.Chaos;

/// <summary>Clients and faults over one fleet, and what is left afterwards.</summary>
internal sealed class ChaosRun(ChaosFleet fleet, ChaosResults results, ChaosLedger ledger, ChaosSettings settings)
{
    private int _next;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var http = new HttpClient(new SocketsHttpHandler { PooledConnectionIdleTimeout = TimeSpan.FromSeconds(2), MaxConnectionsPerServer = 4096 }) { Timeout = Timeout.InfiniteTimeSpan };
        using var served = new CancellationTokenSource();
        var faults = new ChaosFaults(fleet, ledger, settings).RunAsync(served.Token);
        var clients = Task.WhenAll(Enumerable.Range(0, settings.Clients).Select(client => AskAsync(client, http, cancellationToken)));
        try
        {
            if (await Task.WhenAny(clients, faults) == faults) await faults; // it fails, or would go on
            await clients;
        }
        finally
        {
            await served.CancelAsync();
            await faults;
        }

        await CheckPromisesAsync(http, cancellationToken);
        await CheckDeadLettersAsync(http, cancellationToken);
        await CheckDeadEventsAsync(cancellationToken);
        await CheckLogsAsync();
    }

    private async Task AskAsync(int client, HttpClient http, CancellationToken cancellationToken)
    {
        var random = new Random((settings.Seed * 31) + client);
        while (Interlocked.Increment(ref _next) is var number && number <= settings.Requests)
        {
            await RealTime.PassAsync(settings.Think * random.NextDouble(), cancellationToken);
            await new ChaosClient(fleet, results, ledger, http, settings, random, number).RunAsync(cancellationToken);
        }
    }

    /// <summary>What an id was answered is what it is answered later, at either gateway.</summary>
    private async Task CheckPromisesAsync(HttpClient http, CancellationToken cancellationToken)
    {
        foreach (var (id, status) in results.Ended)
        {
            var read = await http.GetFromJsonAsync<JsonNode>(new Uri(fleet.Addresses[id.Length % ChaosFleet.Gateways], $"/v1/requests/{id}"), cancellationToken);
            if (read!["status"]!.GetValue<string>() != status) ledger.Violate(0, ChaosKind.Promised, $"{id} ended twice: {status} and {read["status"]}");
        }
    }

    private async Task CheckDeadLettersAsync(HttpClient http, CancellationToken cancellationToken)
    {
        var letters = await http.GetFromJsonAsync<JsonNode>(new Uri(fleet.Addresses[0], "/admin/dead-letters"), cancellationToken);
        foreach (var letter in letters!["data"]!.AsArray()) ledger.Violate(0, ChaosKind.Event, $"was dead-lettered: {letter!.ToJsonString()}");
    }

    /// <summary>Nor was an event put away: all of them ask for what can be served.</summary>
    private async Task CheckDeadEventsAsync(CancellationToken cancellationToken)
    {
        await using var connection = await new ConnectionFactory { Uri = fleet.RabbitMq.Url }.CreateConnectionAsync(cancellationToken);
        await using var channel = await connection.CreateChannelAsync(cancellationToken: cancellationToken);
        while (await channel.BasicGetAsync(EventTopics.RequestsDead, autoAck: true, cancellationToken) is { } dead)
            ledger.Violate(0, ChaosKind.Event, $"an event was put away: {Encoding.UTF8.GetString(dead.Body.Span)}");
    }

    /// <summary>Every log that is kept has one end, its last event, and tokens one after the other.</summary>
    private async Task CheckLogsAsync()
    {
        await using var redis = await ConnectionMultiplexer.ConnectAsync(fleet.Log.Configuration);
        var logs = 0;
        await foreach (var key in redis.GetServers()[0].KeysAsync(pattern: "serverless:events:*"))
        {
            logs++;
            var events = (await redis.GetDatabase().StreamRangeAsync(key)).Select(entry => EventCodec.Decode((byte[])entry.Values[0].Value!)).ToArray();
            var positions = events.OfType<RequestEvent.Chunk>().SelectMany(chunk => chunk.Choices).SelectMany(choice => choice.TokenIds.Select((_, place) => choice.Position + place)).ToArray();
            if (events.Count(logged => logged.IsTerminal) > 1 || events.Take(events.Length - 1).Any(logged => logged.IsTerminal)) ledger.Violate(0, ChaosKind.Whole, $"{key} has two ends");
            if (!positions.SequenceEqual(Enumerable.Range(0, positions.Length))) ledger.Violate(0, ChaosKind.Whole, $"{key} has tokens at {string.Join(' ', positions)}");
        }

        ledger.Tell($"{logs} logs were read");
    }
}
