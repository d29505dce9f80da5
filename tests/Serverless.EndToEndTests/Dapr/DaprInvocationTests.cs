using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Serverless.EndToEndTests.Parts;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Hosting.Dapr;
using Shouldly;

namespace Serverless.EndToEndTests.Dapr;

/// <summary>daprd gives the app's token with service invocation as it does with events: who calls tells them apart. A real sidecar of the gateway, over a broker in its memory, and another app's.</summary>
public sealed class DaprInvocationTests : IEventHandler
{
    private const string AppToken = "the token by which daprd is known to the app";

    private readonly Channel<CloudEvent> _taken = Channel.CreateBounded<CloudEvent>(10);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public IReadOnlyList<string> Topics { get; } = [EventTopics.Requests];

    public async ValueTask<BrokerVerdict> HandleAsync(CloudEvent cloudEvent, CancellationToken cancellationToken)
    {
        await _taken.Writer.WriteAsync(cloudEvent, cancellationToken);
        return BrokerVerdict.Done;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Events_are_taken_from_the_broker_and_by_service_invocation_only_where_that_is_allowed(bool isAllowed)
    {
        Assert.SkipWhen(Daprd.Absent is not null, Daprd.Absent ?? "");
        var folder = WriteComponents();
        var port = PartProcess.FreePort();
        await using var app = BuildApp(port, isAllowed);
        await app.StartAsync(Token);
        await using var own = await StartSidecarAsync(DaprNames.GatewayApp, folder, port);
        await own.ServesAppAsync(Token);
        await using var others = await StartSidecarAsync("neighbour", folder, null);
        using var http = new HttpClient();

        using var invoked = await InvokeAsync(http, others);
        using var disguised = await InvokeAsync(http, others, (DaprNames.ComponentHeader, "pubsub"));
        using var published = await http.PostAsync(new Uri(own.HttpAddress, $"/v1.0/publish/pubsub/{EventTopics.Requests}"), JsonContent.Create(new { of = "the broker" }), Token);

        invoked.StatusCode.ShouldBe(isAllowed ? HttpStatusCode.OK : HttpStatusCode.Forbidden);
        (await disguised.Content.ReadAsStringAsync(Token)).ShouldContain(isAllowed ? "SUCCESS" : "DROP");
        published.StatusCode.ShouldBe(HttpStatusCode.NoContent);
        if (isAllowed)
        {
            (await NextAsync()).Id.ShouldBe("invoked");
            (await NextAsync()).Id.ShouldBe("invoked");
        }

        Encoding.UTF8.GetString((await NextAsync()).Data.Span).ShouldContain("the broker");
    }

    private Task<CloudEvent> NextAsync() => _taken.Reader.ReadAsync(Token).WithinLimitAsync();

    /// <summary>As another app would. Names are known to a sidecar some seconds after an app has registered: till then it answers that it knows none such.</summary>
    private static async Task<HttpResponseMessage> InvokeAsync(HttpClient http, Daprd sidecar, params (string Name, string Value)[] headers)
    {
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(200), TimeProvider.System);
        using var limit = new CancellationTokenSource(TestTimeouts.Default, TimeProvider.System);
        while (true)
        {
            using var content = new StringContent("""{"specversion":"1.0","id":"invoked","source":"/s","type":"t","data":{}}""", Encoding.UTF8, "application/cloudevents+json");
            using var message = new HttpRequestMessage(HttpMethod.Post, new Uri(sidecar.HttpAddress, $"/v1.0/invoke/{DaprNames.GatewayApp}/method{DaprNames.EventsPath}{EventTopics.Requests}")) { Content = content };
            foreach (var (name, value) in headers) message.Headers.Add(name, value);
            var answer = await http.SendAsync(message, limit.Token);
            if (answer.StatusCode != HttpStatusCode.InternalServerError) return answer;

            answer.Dispose();
            await pace.WaitForNextTickAsync(limit.Token);
        }
    }

    private static Task<Daprd> StartSidecarAsync(string appId, string folder, int? port) => Daprd.StartNewAsync(
        new DaprdSettings
        {
            AppId = appId,
            Folder = folder,
            AppPort = port,
            Arguments = ["--resources-path", "resources", "--config", "configuration.yaml"],
            Environment = new Dictionary<string, string> { ["APP_API_TOKEN"] = AppToken },
        },
        Token);

    private static string WriteComponents()
    {
        var folder = Directory.CreateTempSubdirectory("serverless-dapr-").FullName;
        Directory.CreateDirectory(Path.Combine(folder, "resources"));
        File.Copy(Path.Combine(Checkout.Root, "components", "laptop", "configuration.yaml"), Path.Combine(folder, "configuration.yaml"));
        File.WriteAllText(
            Path.Combine(folder, "resources", "events.yaml"),
            $$"""
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata: {name: pubsub}
            spec: {type: pubsub.in-memory, version: v1}
            scopes: [{{DaprNames.GatewayApp}}]
            ---
            apiVersion: dapr.io/v2alpha1
            kind: Subscription
            metadata: {name: requests}
            spec:
              pubsubname: pubsub
              topic: {{EventTopics.Requests}}
              routes: {default: {{DaprNames.EventsPath}}{{EventTopics.Requests}}}
            scopes: [{{DaprNames.GatewayApp}}]
            """);
        return folder;
    }

    private WebApplication BuildApp(int port, bool isAllowed)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["APP_API_TOKEN"] = AppToken, ["Dapr:AllowInvokedEvents"] = $"{isAllowed}" });
        builder.WebHost.UseUrls(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}"));
        builder.Services.AddSingleton<IEventHandler>(this).AddDaprEvents();
        var app = builder.Build();
        app.MapDaprEvents();
        return app;
    }
}
