using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Hosting.Telemetry;
using Serverless.Hosting.Tls;
using Shouldly;

namespace Serverless.FunctionalTests.Telemetry;

/// <summary>The doors of processes that know no keys, workers and scalers: who reads their metrics, and how many come at once.</summary>
public sealed class ClosedMetricsTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false, "/metrics", null, HttpStatusCode.OK)]
    [InlineData(false, "/METRICS", "X-Forwarded-For", HttpStatusCode.Forbidden)]
    [InlineData(false, "/metrics", "Via", HttpStatusCode.Forbidden)]
    [InlineData(false, "/readyz", "Via", HttpStatusCode.NoContent)]
    [InlineData(true, "/metrics", "X-Forwarded-For", HttpStatusCode.OK)]
    [InlineData(true, "/readyz", null, HttpStatusCode.NotFound)]
    [InlineData(true, "/", null, HttpStatusCode.NotFound)]
    public async Task Metrics_are_this_machines_or_have_a_listener_that_serves_nothing_else(bool ofMetrics, string path, string? proxy, HttpStatusCode status)
    {
        var port = FreePort();
        var builder = WebApplication.CreateSlimBuilder([$"--Metrics:Url=http://127.0.0.1:{port}"]);
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        builder.Services.AddServerlessTelemetry().AddClosedMetrics();
        await using var app = builder.Build();
        app.MapClosedMetrics();
        app.MapGet("/readyz", () => Results.NoContent());
        await app.StartAsync(Token);
        var addresses = app.Urls.Select(url => new Uri(url)).ToLookup(url => url.Port == port);
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(addresses[ofMetrics].Single(), path));
        if (proxy is not null) request.Headers.TryAddWithoutValidation(proxy, "1.1 proxy").ShouldBeTrue();

        using var answer = await client.SendAsync(request, Token);

        answer.StatusCode.ShouldBe(status);
        if (status == HttpStatusCode.Forbidden) (await answer.Content.ReadAsStringAsync(Token)).ShouldBe("Metrics are read on this machine; set Metrics:Url for others.\n");
    }

    [Fact]
    public async Task A_listener_refuses_connections_beyond_its_bound_and_takes_others_when_one_has_gone()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, endpoint => endpoint.AtMost(1)));
        await using var app = builder.Build();
        app.MapGet("/", () => Results.NoContent());
        await app.StartAsync(Token);
        var address = new Uri(app.Urls.Single());
        using (var only = await AskAsync(address))
        {
            only.ShouldNotBeNull();
            (await AskAsync(address)).ShouldBeNull("the first is still open");
        }

        TcpClient? next;
        do
        {
            next = await AskAsync(address); // until the server has seen that the first is gone
        }
        while (next is null);
        next.Dispose();
    }

    /// <summary>A connection on which a request was answered, still open; null: it was cut.</summary>
    private static async Task<TcpClient?> AskAsync(Uri address)
    {
        var client = new TcpClient();
        try
        {
            await client.ConnectAsync(address.Host, address.Port, Token);
            await client.GetStream().WriteAsync("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"u8.ToArray(), Token);
            if (await client.GetStream().ReadAsync(new byte[1024], Token).AsTask().WithinLimitAsync() > 0) return client;
        }
        catch (Exception exception) when (exception is IOException or SocketException)
        {
            // That is how it is cut.
        }

        client.Dispose();
        return null;
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
