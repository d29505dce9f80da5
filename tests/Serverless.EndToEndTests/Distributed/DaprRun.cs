using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Serverless.EndToEndTests.Parts;
using Serverless.Errors;
using Serverless.Events;

namespace Serverless.EndToEndTests.Distributed;

/// <summary>For all tests of a class: the apps of <c>dapr.yaml</c> over a RabbitMQ and a Redis, and a neighbour: another service with a sidecar of its own, which asks by events and hears the results.</summary>
public class DaprRun : IEventHandler, IAsyncDisposable
{
    private readonly HttpClient _http = new() { Timeout = TestTimeouts.Default };
    private readonly Channel<CloudEvent> _results = Channel.CreateBounded<CloudEvent>(100_000);
    private RabbitMqServer? _rabbitMq;
    private RedisServer? _redis;
    private DaprApps? _apps;
    private Neighbour? _neighbour;

    public virtual IReadOnlyList<string> Topics { get; } = [EventTopics.Results];

    internal DaprApps Apps => _apps!;

    internal Uri Broker => _rabbitMq!.Url;

    internal RabbitMqServer RabbitMq => _rabbitMq!;

    internal RedisServer Redis => _redis!;

    /// <summary>Redis in its client's words.</summary>
    internal string Store => _redis!.Configuration;

    /// <summary>What all apps get on top of what the file says.</summary>
    protected virtual IReadOnlyDictionary<string, string> Environment { get; } = new Dictionary<string, string>();

    internal IEventBus Neighbour => _neighbour!.Bus;

    /// <summary>What the apps said last, for the message of a failing test.</summary>
    internal string Output => string.Join('\n', Apps.File.Apps.Select(app => $"\n--- {app.AppId}\n{Apps.Process(app.AppId).Output}"));

    public async ValueTask<BrokerVerdict> HandleAsync(CloudEvent cloudEvent, CancellationToken cancellationToken)
    {
        await _results.Writer.WriteAsync(cloudEvent, cancellationToken);
        return BrokerVerdict.Done;
    }

    internal async Task StartAsync()
    {
        Assert.SkipWhen(DaprApps.Absent is not null, DaprApps.Absent ?? "");
        if (_neighbour is not null) return;

        _rabbitMq ??= await RabbitMqServer.StartNewAsync(CancellationToken.None);
        _redis ??= await RedisServer.StartNewAsync(CancellationToken.None, "appendfsync", "always");
        _apps ??= await DaprApps.StartAsync(_rabbitMq, _redis, CancellationToken.None, Environment);
        _neighbour = await Parts.Neighbour.StartNewAsync(_redis.Configuration, _rabbitMq.Url.ToString(), this, CancellationToken.None);
    }

    internal Task<Answer> PostAsync(string path, string body, params (string Name, string Value)[] headers) => SendAsync(HttpMethod.Post, path, body, headers);

    internal Task<Answer> GetAsync(string path) => SendAsync(HttpMethod.Get, path, null, []);

    /// <summary>Asks until the answer is as wanted.</summary>
    internal async Task<JsonNode> UntilAsync(string path, Func<JsonNode, bool> wanted) =>
        (await UntilAsync(() => GetAsync(path), answer => answer.Body is { } body && wanted(body))).Body!;

    /// <summary>Asks until the answer is as wanted.</summary>
    internal async Task<Answer> UntilAsync(Func<Task<Answer>> ask, Func<Answer, bool> wanted)
    {
        using var limit = new CancellationTokenSource(TestTimeouts.Default, TimeProvider.System);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(200), TimeProvider.System);
        Answer answer;
        do
        {
            answer = await ask();
            if (wanted(answer)) return answer;
        }
        while (!limit.IsCancellationRequested && await pace.WaitForNextTickAsync(CancellationToken.None));

        throw new InvalidOperationException($"The answer did not become what was awaited; it is {answer.Status}: {answer.Body}{Output}");
    }

    /// <summary>The next event that the neighbour hears.</summary>
    internal Task<CloudEvent> NextAsync() => _results.Reader.ReadAsync(TestContext.Current.CancellationToken).WithinLimitAsync();

    internal Task<CloudEvent> ResultAsync(string id) => ResultAsync(cloudEvent => cloudEvent.Subject == id);

    internal async Task<CloudEvent> ResultAsync(Func<CloudEvent, bool> wanted)
    {
        while (true)
        {
            var result = await _results.Reader.ReadAsync(TestContext.Current.CancellationToken).WithinLimitAsync();
            if (wanted(result)) return result;
        }
    }

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        _http.Dispose();
        if (_neighbour is not null) await _neighbour.DisposeAsync();
        if (_apps is not null) await _apps.DisposeAsync();
        if (_redis is not null) await _redis.DisposeAsync();
        if (_rabbitMq is not null) await _rabbitMq.DisposeAsync();
    }

    private async Task<Answer> SendAsync(HttpMethod method, string path, string? body, (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, new Uri(Apps.Gateway, path));
        if (body is not null) request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        using var answer = await _http.SendAsync(request, TestContext.Current.CancellationToken);
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        return new Answer(answer.StatusCode, text.StartsWith('{') ? JsonNode.Parse(text) : null);
    }

    /// <summary>What the gateway said.</summary>
    internal sealed record Answer(HttpStatusCode Status, JsonNode? Body);
}
