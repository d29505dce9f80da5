using System.Globalization;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Serverless.EndToEndTests.Parts;
using Shouldly;

namespace Serverless.EndToEndTests.Chaos;

/// <summary>
/// A batch whose gateway is killed again and again, over RabbitMQ, Redis, daprd and a real S3 server: each line is answered once. CI kills twice, for each time costs the time of a lease;
/// <c>CHAOS_BATCH_LINES=2000 CHAOS_BATCH_KILLS=5</c>, or <c>make chaos-batch</c>, which harms the other parts too.
/// </summary>
public sealed partial class BatchChaosTests(ITestOutputHelper output)
{
    private const int Tokens = 4;
    private const int AtOnce = 16;
    private const string BatchTopic = "ops.batches";
    private const string CapacityTopic = "ops.capacity";

    /// <summary>From here on, the other parts are harmed as well.</summary>
    private const int ManyKills = 10;

    private static readonly int LinesOfBatch = Number("CHAOS_BATCH_LINES") ?? 2000;
    private static readonly int Kills = Number("CHAOS_BATCH_KILLS") ?? 2;

    /// <summary>So slow that a line is running whenever a gateway is killed: ten seconds of work for each.</summary>
    private static readonly int TokensPerSecond = Math.Max(1, LinesOfBatch * Tokens / (AtOnce * 10 * Kills));

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3 + Kills + (LinesOfBatch / 1000));

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Each_line_is_answered_once_though_the_gateway_that_runs_it_is_killed_again_and_again()
    {
        Assert.SkipWhen((ChaosFleet.Absent ?? S3Server.Absent) is not null, ChaosFleet.Absent ?? S3Server.Absent ?? "");
        await using var s3 = await S3Server.StartNewAsync(Token);
        var notices = new ToldEvents(BatchTopic, CapacityTopic);
        await using var fleet = await ChaosFleet.StartNewAsync(new ChaosEngine(TokensPerSecond, Tokens), notices, Token, Settings(s3));
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Token);
        limit.CancelAfter(Limit);
        using var scene = new Scene(fleet, limit.Token);
        var began = TimeProvider.System.GetTimestamp();

        var id = await scene.CreateAsync(LinesOfBatch);
        for (var kill = 1; kill <= Kills; kill++)
        {
            if (await scene.ProgressAsync(id, LinesOfBatch * kill / (Kills + 2)) is not var (coordinator, done)) break;
            output.WriteLine($"{TimeProvider.System.GetElapsedTime(began).TotalSeconds:F0} s: {done} lines are done; gateway-{coordinator} is killed");
            await fleet.Part($"gateway-{coordinator}").KillAsync();
            if (Kills >= ManyKills) await HarmAsync(fleet, s3, kill, limit.Token);
            await fleet.Part($"gateway-{coordinator}").StartAsync(limit.Token);
        }

        var ended = await scene.EndAsync(id);
        output.WriteLine($"{TimeProvider.System.GetElapsedTime(began).TotalSeconds:F0} s: {ended["status"]}, {ended["request_counts"]!.ToJsonString()}");
        string[] names = [.. await scene.NamesAsync(ended["output_file_id"]), .. await scene.NamesAsync(ended["error_file_id"])];

        names.Order(StringComparer.Ordinal).ShouldBe(Enumerable.Range(0, LinesOfBatch).Select(NameOf).Order(StringComparer.Ordinal));
        ended["request_counts"]!.ToJsonString().ShouldBe($$"""{"total":{{LinesOfBatch}},"completed":{{LinesOfBatch}},"failed":0}""", fleet.Part("gateway-0").Output);
        ended["usage"]!["output_tokens"]!.GetValue<long>().ShouldBe(LinesOfBatch * Tokens);
        await notices.FindAsync(told => told.Type == "dev.serverless.pool.ready", limit.Token);
        (await notices.FindAsync(told => told.Type == "dev.serverless.batch.completed", limit.Token)).Subject.ShouldBe(id);
    }

    private static async Task HarmAsync(ChaosFleet fleet, S3Server s3, int kill, CancellationToken cancellationToken)
    {
        if (kill % 4 == 0)
        {
            await s3.Process.SignalAsync("KILL");
            await s3.Process.ExitedAsync(cancellationToken);
            await RealTime.PassAsync(TimeSpan.FromSeconds(2), cancellationToken);
            await s3.StartAsync(cancellationToken);
            return;
        }

        await fleet.Part(((string[])["redis", "daprd-0", "daprd-1"])[(kill % 4) - 1]).DieAsync(TimeSpan.FromSeconds(2), cancellationToken);
    }

    private static Dictionary<string, string> Settings(S3Server s3)
    {
        var options = s3.Options();
        return new(StringComparer.Ordinal)
        {
            ["Files__S3__Endpoint"] = options.Endpoint!.ToString(),
            ["Files__S3__Bucket"] = options.Bucket!,
            ["Files__S3__AccessKey"] = options.AccessKey!,
            ["Files__S3__SecretKey"] = options.SecretKey!,
            ["Gateway__Batches__MaxAtOnce"] = AtOnce.ToString(CultureInfo.InvariantCulture),
            ["Gateway__Notices__BatchTopic"] = BatchTopic,
            ["Gateway__Notices__CapacityTopic"] = CapacityTopic,
            ["Gateway__Batches__CommitLines"] = "20",
            ["Gateway__Batches__CommitInterval"] = "00:00:01",
        };
    }

    private static string NameOf(int line) => string.Create(CultureInfo.InvariantCulture, $"line-{line}");

    private static int? Number(string name) => int.TryParse(Environment.GetEnvironmentVariable(name), NumberStyles.Integer, CultureInfo.InvariantCulture, out var value) ? value : null;

    /// <summary>A client that asks whichever gateway answers.</summary>
    private sealed partial class Scene(ChaosFleet fleet, CancellationToken cancellationToken) : IDisposable
    {
        private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(10) };

        public void Dispose() => _http.Dispose();

        public async Task<string> CreateAsync(int lines)
        {
            var input = new StringBuilder();
            for (var line = 0; line < lines; line++)
            {
                input.Append(CultureInfo.InvariantCulture, $$$"""{"custom_id":"{{{NameOf(line)}}}","method":"POST","url":"/v1/chat/completions","body":{"model":"{{{ChaosFleet.Model}}}","max_tokens":{{{Tokens}}},"messages":[{"role":"user","content":"{{{line}}}"}]}}""").Append('\n');
            }

            using var form = new MultipartFormDataContent { { new StringContent("batch"), "purpose" }, { new ByteArrayContent(Encoding.UTF8.GetBytes(input.ToString())), "file", "input.jsonl" } };
            using var uploaded = await _http.PostAsync(new Uri(fleet.Addresses[0], "/v1/files"), form, cancellationToken);
            var file = (await uploaded.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<JsonNode>(cancellationToken))!["id"]!.GetValue<string>();
            using var created = await _http.PostAsJsonAsync(new Uri(fleet.Addresses[0], "/v1/batches"), new { input_file_id = file, endpoint = "/v1/chat/completions", completion_window = "24h" }, cancellationToken);
            return (await created.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<JsonNode>(cancellationToken))!["id"]!.GetValue<string>();
        }

        /// <summary>Which gateway runs it, once so many lines are done; null: it is at its end.</summary>
        public async Task<(int Gateway, int Done)?> ProgressAsync(string id, int lines)
        {
            while (true)
            {
                var batch = await AskAsync($"/v1/batches/{id}");
                if (HasEnded(batch)) return null;
                var done = Done(batch);
                for (var gateway = 0; gateway < ChaosFleet.Gateways && done >= lines; gateway++)
                {
                    if (await RunsAsync(gateway)) return (gateway, done);
                }

                await RealTime.PassAsync(TimeSpan.FromMilliseconds(100), cancellationToken);
            }
        }

        /// <summary>The batch once it is at its end.</summary>
        public async Task<JsonNode> EndAsync(string id)
        {
            while (true)
            {
                var now = await AskAsync($"/v1/batches/{id}");
                if (HasEnded(now)) return now!;
                await RealTime.PassAsync(TimeSpan.FromMilliseconds(200), cancellationToken);
            }
        }

        public async Task<string[]> NamesAsync(JsonNode? file)
        {
            if (file is null) return [];
            var text = await _http.GetStringAsync(new Uri(fleet.Addresses[0], $"/v1/files/{file.GetValue<string>()}/content"), cancellationToken);
            return [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!["custom_id"]!.GetValue<string>())];
        }

        private static bool HasEnded(JsonNode? batch) => batch?["status"]?.GetValue<string>() is "completed" or "failed" or "expired" or "cancelled";

        private static int Done(JsonNode? batch) => batch?["request_counts"] is { } counts ? counts["completed"]!.GetValue<int>() + counts["failed"]!.GetValue<int>() : 0;

        private async Task<bool> RunsAsync(int gateway)
        {
            try
            {
                return Running().IsMatch(await _http.GetStringAsync(new Uri(fleet.Addresses[gateway], "/metrics"), cancellationToken));
            }
            catch (HttpRequestException)
            {
                return false;
            }
        }

        private async Task<JsonNode?> AskAsync(string path)
        {
            foreach (var address in fleet.Addresses)
            {
                try
                {
                    using var answer = await _http.GetAsync(new Uri(address, path), cancellationToken);
                    if (answer.IsSuccessStatusCode) return await answer.Content.ReadFromJsonAsync<JsonNode>(cancellationToken);
                }
                catch (Exception exception) when (exception is HttpRequestException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
                {
                    // The other one, or the next time.
                }
            }

            return null;
        }

        [GeneratedRegex(@"(?m)^serverless_batches_running(\{[^}]*\})? 1\b", RegexOptions.None, 1000)]
        private static partial Regex Running();
    }
}
