using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.EndToEndTests.Parts;
using Serverless.Hosting.RabbitMq.Connection;
using Serverless.Requests;

namespace Serverless.EndToEndTests.RabbitMq;

/// <summary>Our side of a broker, as one process has it: composed as a host composes it.</summary>
internal sealed class RabbitMqClient : IAsyncDisposable
{
    private readonly ServiceProvider _services;

    public RabbitMqClient(RabbitMqServer server, string? prefix = null, QueueLimits? limits = null, IReadOnlyDictionary<string, string?>? settings = null, ICatalogSource? catalog = null, TimeProvider? time = null)
    {
        Prefix = prefix ?? $"test-{Guid.NewGuid():n}";
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["RabbitMq:Url"] = server.Url.ToString(),
            ["RabbitMq:ManagementUrl"] = server.ManagementUrl.ToString(),
            ["RabbitMq:Prefix"] = Prefix,
        }).AddInMemoryCollection(settings ?? new Dictionary<string, string?>()).Build();
        var services = new ServiceCollection();
        if (catalog is not null) services.AddSingleton(catalog);
        if (time is not null) services.AddSingleton(time);
        _services = services
            .AddSingleton<IConfiguration>(configuration)
            .AddSingleton(limits ?? new QueueLimits())
            .AddSingleton<IDemandFeed>(Demand)
            .AddSingleton<ILoggerFactory>(Log)
            .AddSingleton(typeof(ILogger<>), typeof(Logger<>))
            .AddRabbitMqQueue()
            .BuildServiceProvider(new ServiceProviderOptions { ValidateScopes = true });
    }

    public string Prefix { get; }

    public MemoryDemandFeed Demand { get; } = new();

    public LogLines Log { get; } = new();

    public IRequestQueue Queue => _services.GetRequiredService<IRequestQueue>();

    public IDeadLetters Letters => _services.GetRequiredService<IDeadLetters>();

    public RabbitMqLink Link => _services.GetRequiredService<RabbitMqLink>();

    public OutstandingBytes Outstanding => _services.GetRequiredService<OutstandingBytes>();

    public BrokerChecks Checks => _services.GetRequiredService<BrokerChecks>();

    public ValueTask DisposeAsync() => _services.DisposeAsync();
}
