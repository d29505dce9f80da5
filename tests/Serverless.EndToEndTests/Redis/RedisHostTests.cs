using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.EndToEndTests.Parts;
using Serverless.Leases;
using Serverless.Requests;
using Serverless.Scaling.Capacity;
using Shouldly;

namespace Serverless.EndToEndTests.Redis;

/// <summary>A host composed with Redis starts only on a Redis that will do, and before anything else of it.</summary>
public sealed class RedisHostTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("manifests-");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task A_host_has_the_catalogue_and_every_port_before_its_services_start()
    {
        Assert.SkipWhen(RedisServer.Absent is not null, RedisServer.Absent ?? "");
        await using var server = await RedisServer.StartNewAsync(Token);
        await File.WriteAllTextAsync(Path.Combine(_folder.FullName, "all.yaml"), """
            {"apiVersion":"llmaz.io/v1alpha1","kind":"OpenModel","metadata":{"name":"sim"},"spec":{"familyName":"f","source":{"uri":"simulated://sim"},"inferenceConfig":{"flavors":[{"name":"cpu"}]}}}
            ---
            {"apiVersion":"inference.llmaz.io/v1alpha1","kind":"Playground","metadata":{"name":"sim"},"spec":{"replicas":1,"modelClaim":{"modelName":"sim"},"backendRuntimeConfig":{"backendName":"simulated"}}}
            """, Token);
        var host = Build(server.Configuration, services => services
            .AddRedisCatalogPublisher(_folder.FullName).AddRedisCatalog().AddRedisRequestLog().AddRedisLeases().AddRedisFeeds()
            .AddSingleton<SeenAtStart>().AddHostedService(provider => provider.GetRequiredService<SeenAtStart>()));
        await host.StartAsync(Token);

        host.Services.GetRequiredService<SeenAtStart>().Models.ShouldBe(["sim"]);
        var log = host.Services.GetRequiredService<IRequestLog>();
        var scene = new LogScene(log, log);
        await scene.AppendAsync(await scene.BeginAsync(Token), 0, 1, Token);
        (await host.Services.GetRequiredService<ILeases>().AcquireAsync("one", "me", TimeSpan.FromMinutes(1), Token)).ShouldNotBeNull();
        host.Services.GetRequiredService<IDemandFeed>().Publish(new ModelDemand { Model = new ModelName("sim"), At = DateTimeOffset.UnixEpoch });
        host.Services.GetRequiredService<ICapacityFeed>().Latest(new PoolName("sim-cpu")).Ready.ShouldBe(0);
        (await server.CommandAsync($"EXISTS test:head:{scene.Id}", Token)).ShouldBe(":1");

        await host.StopAsync(Token);
        await ((IAsyncDisposable)host).DisposeAsync();
    }

    [Fact]
    public async Task A_host_does_not_start_on_a_Redis_that_would_lose_requests()
    {
        Assert.SkipWhen(RedisServer.Absent is not null, RedisServer.Absent ?? "");
        await using var server = await RedisServer.StartNewAsync(Token, "appendonly", "no");
        var host = Build(server.Configuration, services => services.AddRedisRequestLog());

        (await Should.ThrowAsync<InvalidOperationException>(host.StartAsync(Token))).Message.ShouldContain("appendonly");

        await ((IAsyncDisposable)host).DisposeAsync();
    }

    [Fact]
    public async Task Wrong_options_are_named_all_at_once()
    {
        var host = Build("", services => services.AddRedisLeases(), ("Redis:CommandTimeout", "00:00:00"));

        var thrown = await Should.ThrowAsync<OptionsValidationException>(host.StartAsync(Token));

        thrown.Message.ShouldContain("Configuration");
        thrown.Message.ShouldContain("CommandTimeout");
        await ((IAsyncDisposable)host).DisposeAsync();
    }

    private static IHost Build(string configuration, Action<IServiceCollection> add, params (string Key, string Value)[] more)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddInMemoryCollection(
            [new("Redis:Configuration", configuration), new("Redis:KeyPrefix", "test:"), .. more.Select(setting => KeyValuePair.Create(setting.Key, (string?)setting.Value))]);
        builder.Logging.ClearProviders();
        builder.ConfigureContainer(new DefaultServiceProviderFactory(new ServiceProviderOptions { ValidateOnBuild = true, ValidateScopes = true }));
        add(builder.Services);
        return builder.Build();
    }

    private sealed class SeenAtStart(ICatalogSource catalog) : IHostedService
    {
        public string[] Models { get; private set; } = [];

        public Task StartAsync(CancellationToken cancellationToken)
        {
            Models = [.. catalog.Current.Models.Select(model => model.Name.Value)];
            return Task.CompletedTask;
        }

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
