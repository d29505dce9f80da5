using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using Serverless.EndToEndTests.Parts;
using Shouldly;

namespace Serverless.EndToEndTests.Distributed;

/// <summary>docs/operations.md: what is seen while a part is away, and that all is well again when it is back.</summary>
public sealed partial class OperationsPageTests(SimulatedRun run) : IClassFixture<SimulatedRun>
{
    private const string Chat = """{"model":"sim","messages":[{"role":"user","content":"hi"}],"max_tokens":2}""";

    /// <summary>Nobody answers.</summary>
    private const HttpStatusCode None = (HttpStatusCode)(-1);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<string> Parts => ["nothing", "RabbitMQ", "Redis", "the gateway's daprd", "the scaler", "the worker", "the gateway"];

    [Theory]
    [MemberData(nameof(Parts))]
    public async Task What_is_seen_while_a_part_is_away_is_on_the_page(string part)
    {
        await run.StartAsync();
        var page = Rows().Single(row => row[0] == part);
        var ready = page[3] == "none" ? (int)None : int.Parse(page[3], CultureInfo.InvariantCulture);
        await BackAsync(); // whatever was killed before
        await KillAsync(part);

        await run.UntilAsync(ReadyAsync, answer => (int)answer.Status == ready); // it is noticed within seconds
        string[] seen =
        [
            part,
            await SeenAsync(() => run.PostAsync("/v1/chat/completions", Chat, ("X-Request-Timeout", "5"))),
            await SeenAsync(() => run.PostAsync("/v1/chat/completions", Chat, ("Prefer", "respond-async"))),
            await SeenAsync(ReadyAsync),
            await DownAsync(),
        ];
        var log = run.Apps.Process("gateway").Output;

        await RestoreAsync(part);
        await BackAsync();

        seen.ShouldBe(page[..5], log);
        if (page[5].Length > 0) log.ShouldContain(page[5].Trim('`'));
    }

    /// <summary>All is served: at once and by id.</summary>
    private async Task BackAsync()
    {
        await run.UntilAsync(TryAsync(() => run.PostAsync("/v1/chat/completions", Chat, ("X-Request-Timeout", "5"))), answer => answer.Status == HttpStatusCode.OK);
        await run.UntilAsync(TryAsync(() => run.PostAsync("/v1/chat/completions", Chat, ("Prefer", "respond-async"))), answer => answer.Status == HttpStatusCode.Accepted);
    }

    private async Task KillAsync(string part)
    {
        switch (part)
        {
            case "RabbitMQ":
                await run.RabbitMq.KillAsync();
                break;
            case "Redis":
                await run.Redis.KillAsync();
                break;
            case "the gateway's daprd":
                await run.Apps.Sidecar("gateway").KillAsync();
                break;
            case "the scaler" or "the worker" or "the gateway":
                var app = run.Apps.Process(part[4..]);
                await app.SignalAsync("KILL");
                await app.ExitedAsync(Token);
                break;
        }
    }

    private async Task RestoreAsync(string part)
    {
        switch (part)
        {
            case "RabbitMQ":
                await run.RabbitMq.StartAsync(Token);
                break;
            case "Redis":
                await run.Redis.StartAsync(Token);
                break;
            case "the gateway's daprd":
                await run.Apps.Sidecar("gateway").StartAsync(Token);
                await run.Apps.Sidecar("gateway").ServesAppAsync(Token);
                break;
            case "the scaler" or "the worker" or "the gateway":
                await run.Apps.RestartAppAsync(part[4..], Token);
                break;
        }
    }

    private Task<DaprRun.Answer> ReadyAsync() => TryAsync(() => run.GetAsync("/readyz"))();

    private static Func<Task<DaprRun.Answer>> TryAsync(Func<Task<DaprRun.Answer>> ask) => async () =>
    {
        try
        {
            return await ask();
        }
        catch (HttpRequestException)
        {
            return new DaprRun.Answer(None, null);
        }
    };

    private static async Task<string> SeenAsync(Func<Task<DaprRun.Answer>> ask)
    {
        var answer = await TryAsync(ask)();
        if (answer.Status == None) return "none";
        var status = ((int)answer.Status).ToString(CultureInfo.InvariantCulture);
        return answer.Body?["error"]?["code"] is { } code ? $"{status} `{code.GetValue<string>()}`" : status;
    }

    private async Task<string> DownAsync()
    {
        try
        {
            using var http = new HttpClient();
            var metrics = await http.GetStringAsync(new Uri(run.Apps.Gateway, "/metrics"), Token);
            return string.Join(", ", DownPattern().Matches(metrics).Select(match => $"`{match.Groups[1].Value}`"));
        }
        catch (HttpRequestException)
        {
            return "";
        }
    }

    private static IEnumerable<string[]> Rows() =>
        File.ReadAllLines(Path.Combine(Checkout.Root, "docs", "operations.md")).Where(line => line.StartsWith("| ", StringComparison.Ordinal)).Select(line => line.Split('|')[1..^1].Select(cell => cell.Trim()).ToArray());

    [GeneratedRegex("^serverless_dependency_up[^\n]*[{,]dependency=\"([^\"]+)\"[^\n]*} 0( |$)", RegexOptions.Multiline, 1000)]
    private static partial Regex DownPattern();
}
