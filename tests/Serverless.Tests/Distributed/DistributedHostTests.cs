using Microsoft.Extensions.Options;
using Serverless.Gateway;
using Serverless.Scaler;
using Serverless.Worker;
using Shouldly;

namespace Serverless.Tests.Distributed;

/// <summary>The three programs are put together from configuration alone, and say every fault of it at once.</summary>
public sealed class DistributedHostTests
{
    [Fact]
    public async Task The_gateway_is_composed()
    {
        await using var app = GatewayHost.BuildDistributed(["--Sessions:Host=127.0.0.1"]);

        app.Services.ShouldNotBeNull();
    }

    [Fact]
    public async Task The_worker_is_composed()
    {
        await using var app = WorkerHost.BuildDistributed(["--Worker:Pool=m-cpu"]);

        app.Services.ShouldNotBeNull();
    }

    [Fact]
    public async Task The_scaler_is_composed()
    {
        await using var app = ScalerHost.Build([]);

        app.Services.ShouldNotBeNull();
    }

    [Fact]
    public void Every_fault_of_the_configuration_is_said_at_once()
    {
        var failure = Should.Throw<AggregateException>(() => GatewayHost.BuildDistributed(
            ["--Distributed:Http=ftp://nowhere", "--Distributed:Manifests=/no/such/folder", "--Dapr:Timeout=01:00:00", "--Redis:Configuration=", "--Keys:File=/no/such/file", "--Queue:MaxRequests=-1"]));

        var faults = failure.InnerExceptions.Cast<OptionsValidationException>().SelectMany(one => one.Failures).ToList();
        foreach (var named in (string[])["Distributed:Http", "Distributed:Manifests", "Timeout", "Configuration", "Keys:File", "Queue:MaxRequests"]) faults.ShouldContain(fault => fault.Contains(named, StringComparison.Ordinal), named);
    }

    [Fact]
    public void Keys_of_two_places_are_refused() =>
        Should.Throw<OptionsValidationException>(() => GatewayHost.BuildDistributed(["--Keys:Secret=api-keys", $"--Keys:File={Path.Combine(Repository.Root, "README.md")}"])).Message.ShouldContain("one place");
}
