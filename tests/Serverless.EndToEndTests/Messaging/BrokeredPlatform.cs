using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Cli.Embedded;
using Serverless.EndToEndTests.Parts;
using Serverless.Hosting.MassTransit;

namespace Serverless.EndToEndTests.Messaging;

/// <summary>The platform in this process, over a simulated engine, with messages on a real RabbitMQ; it can be stopped and started again on its data.</summary>
internal sealed class BrokeredPlatform : IAsyncDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-messages-");
    private readonly RabbitMqServer _broker;
    private readonly (string Key, string Value)[] _settings;

    private BrokeredPlatform(RabbitMqServer broker, (string Key, string Value)[] settings) => (_broker, _settings) = (broker, settings);

    public WebApplication Host { get; private set; } = null!;

    /// <param name="broker">The broker.</param>
    /// <param name="parameters">Of the simulated engine.</param>
    /// <param name="settings">Options.</param>
    public static async Task<BrokeredPlatform> StartAsync(RabbitMqServer broker, string parameters, params (string Key, string Value)[] settings)
    {
        var platform = new BrokeredPlatform(broker, settings);
        await File.WriteAllTextAsync(Path.Combine(platform._folder.FullName, "model.yaml"), $$$"""
            apiVersion: llmaz.io/v1alpha1
            kind: OpenModel
            metadata: {name: sim}
            spec:
              familyName: simulated
              source: {uri: "simulated://sim"}
              inferenceConfig: {flavors: [{name: cpu, params: {{{{parameters}}}}}]}
            ---
            apiVersion: inference.llmaz.io/v1alpha1
            kind: Playground
            metadata: {name: sim}
            spec:
              modelClaim: {modelName: sim}
              elasticConfig: {minReplicas: 1, maxReplicas: 1}
              backendRuntimeConfig: {backendName: simulated}
            """, TestContext.Current.CancellationToken);
        await platform.StartAsync();
        return platform;
    }

    public async Task StartAsync()
    {
        Host = EmbeddedHost.Build(new EmbeddedOptions { Port = 0, Manifests = _folder.FullName, Data = Path.Combine(_folder.FullName, "data"), Quiet = true }, builder =>
        {
            builder.Configuration.AddInMemoryCollection(
            [
                new("MassTransit:Enabled", "true"), new("MassTransit:Transport", "rabbitmq"), new("RabbitMq:Heartbeat", "00:00:02"), new("MassTransit:RetryPause", "00:00:00.1"), new("RabbitMq:Url", _broker.Url.ToString()),
                .. _settings.Select(setting => new KeyValuePair<string, string?>(setting.Key, setting.Value)),
            ]);
            builder.Services.AddMessages(builder.Configuration, MassTransitOptions.InMemory);
        });
        await Host.StartAsync(TestContext.Current.CancellationToken);
    }

    public async Task StopAsync()
    {
        await Host.StopAsync(CancellationToken.None);
        await Host.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _folder.Delete(recursive: true);
    }
}
