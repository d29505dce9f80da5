using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Hosting.Tls;
using Serverless.Scaler.Listening;
using Serverless.Scaler.Protos;
using Serverless.Scaling.Capacity;
using Shouldly;

namespace Serverless.FunctionalTests.Scaler;

/// <summary>TLS and mutual TLS towards KEDA, with certificates that change while the scaler runs.</summary>
public sealed class TlsTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-tls-");
    private readonly TestClock _time = new(TimeProvider.System.GetUtcNow());

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task A_client_of_the_authority_is_served_and_others_are_not()
    {
        using var ours = new TestAuthority("ours");
        using var theirs = new TestAuthority("theirs");
        await using var app = await StartAsync(Options(ours, clientAuthority: ours));

        (await SpecAsync(app, ours, Client(ours))).ShouldBe("desired-replicas");
        await Should.ThrowAsync<Grpc.Core.RpcException>(() => SpecAsync(app, ours, Client(theirs)));
        await Should.ThrowAsync<Grpc.Core.RpcException>(() => SpecAsync(app, ours, client: null));
        await Should.ThrowAsync<Grpc.Core.RpcException>(() => SpecAsync(app, theirs, Client(ours)));
    }

    [Fact]
    public async Task Without_client_authorities_any_client_is_served()
    {
        using var ours = new TestAuthority("ours");
        await using var app = await StartAsync(Options(ours, clientAuthority: null));

        (await SpecAsync(app, ours, client: null)).ShouldBe("desired-replicas");
    }

    [Fact]
    public async Task Replaced_files_are_in_use_from_the_next_connection_and_bad_ones_are_not()
    {
        using var ours = new TestAuthority("ours");
        using var next = new TestAuthority("next");
        await using var app = await StartAsync(Options(ours, clientAuthority: ours));

        File.WriteAllText(Path.Combine(_folder.FullName, "tls.crt"), "no certificate");
        _time.Advance(TimeSpan.FromSeconds(2));
        (await SpecAsync(app, ours, Client(ours))).ShouldBe("desired-replicas", "the last good one");

        Options(next, clientAuthority: next);
        _time.Advance(TimeSpan.FromSeconds(2));
        (await SpecAsync(app, next, Client(next))).ShouldBe("desired-replicas");
        await Should.ThrowAsync<Grpc.Core.RpcException>(() => SpecAsync(app, next, Client(ours)));
    }

    [Fact]
    public void Files_that_cannot_be_used_stop_the_start_and_are_named()
    {
        var options = new ScalerTlsOptions { CertificateFile = "/no/tls.crt", KeyFile = "/no/tls.key" };

        Should.Throw<InvalidOperationException>(() => new ReloadingCertificates(options.Files, _time, NullLogger<ReloadingCertificates>.Instance)).Message.ShouldContain("/no/tls.crt");
    }

    private static X509Certificate2 Client(TestAuthority authority)
    {
        var certificate = authority.Issue("keda", out var key);
        return X509Certificate2.CreateFromPem(certificate, key);
    }

    private static async Task<string> SpecAsync(WebApplication app, TestAuthority trusted, X509Certificate2? client)
    {
        using var root = X509Certificate2.CreateFromPem(trusted.Certificate);
        using var handler = new SocketsHttpHandler
        {
            SslOptions = new SslClientAuthenticationOptions
            {
                ClientCertificates = client is null ? null : [client],
                RemoteCertificateValidationCallback = (_, certificate, chain, _) =>
                {
                    chain!.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
                    chain.ChainPolicy.CustomTrustStore.Add(root);
                    return chain.Build((X509Certificate2)certificate!);
                },
            },
        };
        using var channel = GrpcChannel.ForAddress(app.Urls.Single().Replace("http://", "https://", StringComparison.Ordinal), new GrpcChannelOptions { HttpHandler = handler });
        return (await new ExternalScaler.ExternalScalerClient(channel).GetMetricSpecAsync(new ScaledObjectRef { Name = "m-cpu", Namespace = "serverless" }, cancellationToken: Token)).MetricSpecs[0].MetricName;
    }

    private ScalerTlsOptions Options(TestAuthority server, TestAuthority? clientAuthority)
    {
        var certificate = server.Issue("127.0.0.1", out var key);
        return new ScalerTlsOptions { CertificateFile = Write("tls.crt", certificate), KeyFile = Write("tls.key", key), ClientCaFile = clientAuthority is null ? null : Write("ca.crt", clientAuthority.Certificate) };
    }

    private string Write(string name, string text)
    {
        var path = Path.Combine(_folder.FullName, name);
        File.WriteAllText(path, text);
        return path;
    }

    private async Task<WebApplication> StartAsync(ScalerTlsOptions tls)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenScaler(new IPEndPoint(IPAddress.Loopback, 0), tls));
        builder.Services
            .AddSingleton<TimeProvider>(_time)
            .AddSingleton<ICatalogSource>(TestCatalog.Of(new ModelName("m")))
            .AddSingleton<IDemandFeed, MemoryDemandFeed>()
            .AddSingleton<ICapacityFeed, MemoryCapacityFeed>()
            .AddScaler();
        var app = builder.Build();
        app.MapScaler();
        await app.StartAsync(Token);
        return app;
    }
}
