using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Cli.Commands;
using Serverless.Cli.Embedded;
using Serverless.Cli.Shell;
using Serverless.Demand;
using Serverless.Gateway.Requests;
using Shouldly;

namespace Serverless.Tests.Cli;

public sealed class UpCommandTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-up-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData(0, 0, "Stopping: what still runs may end, within 7.5 s; Ctrl+C again cuts.")]
    [InlineData(1, 0, "Stopping: 1 request may end, within 7.5 s; Ctrl+C again cuts.")]
    [InlineData(2, 3, "Stopping: 5 requests may end, within 7.5 s; Ctrl+C again cuts.")]
    public void Stopping_says_what_is_waited_for(int running, int pending, string line)
    {
        var demand = new MemoryDemandFeed();
        demand.Publish(new ModelDemand { Model = new ModelName("a"), At = DateTimeOffset.UnixEpoch, RunningRequests = running, PendingRequests = pending });
        using var services = new ServiceCollection()
            .AddSingleton<IDemandFeed>(demand)
            .AddSingleton<ICatalogSource>(TestCatalog.Of(new ModelName("a"), new ModelName("b")))
            .AddSingleton(Options.Create(new StreamingOptions { DrainTimeout = TimeSpan.FromSeconds(7.5) }))
            .BuildServiceProvider();

        UpCommand.Stopping(services).ShouldBe(line);
    }

    [Fact]
    public void Manifests_are_those_here_or_of_the_clone()
    {
        var (here, clone) = (_folder.CreateSubdirectory("here"), _folder.CreateSubdirectory("clone"));
        File.WriteAllText(Path.Combine(clone.CreateSubdirectory("models").FullName, "a.yml"), "");

        ModelsFolder.Find(here.FullName, clone.FullName).ShouldBe(Path.Combine(clone.FullName, "models"));

        File.WriteAllText(Path.Combine(here.CreateSubdirectory("models").FullName, "a.yaml"), "");
        ModelsFolder.Find(here.FullName, clone.FullName).ShouldBe(Path.Combine(here.FullName, "models"));
    }

    [Fact]
    public void A_tool_outside_a_clone_says_what_to_give()
    {
        var fault = Should.Throw<ToolException>(() => ModelsFolder.Find(_folder.FullName, clone: null));

        fault.Message.ShouldBe($"There is nothing to serve: {Path.Combine(_folder.FullName, "models")} holds no manifests, and the tool carries none. Give a folder of them with --manifests DIR.");
    }

    [Fact]
    public void Data_is_kept_with_the_clone() => DataFolder.Default.ShouldBe(Path.Combine(Repository.Root, ".data"));

    [Fact]
    public async Task Kedas_port_is_closed_unless_it_is_asked_for()
    {
        var options = new EmbeddedOptions { Quiet = true, Data = _folder.FullName };
        await using var host = EmbeddedHost.Build(options);
        await EmbeddedHost.StartAsync(host, options, TestContext.Current.CancellationToken);

        host.Urls.ShouldHaveSingleItem();
        EmbeddedHost.ScalerAddress(host, options).ShouldBeNull();
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_loopback_address_that_was_asked_for_is_served()
    {
        var options = new EmbeddedOptions { Quiet = true, Data = _folder.FullName, Host = IPAddress.Parse("127.0.0.2") };
        await using var host = EmbeddedHost.Build(options);
        await EmbeddedHost.StartAsync(host, options, TestContext.Current.CancellationToken);
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });

        (await http.GetAsync(new Uri(EmbeddedHost.Address(host), "v1/models"), TestContext.Current.CancellationToken)).StatusCode.ShouldBe(HttpStatusCode.OK);

        await host.StopAsync(TestContext.Current.CancellationToken);
    }
}
