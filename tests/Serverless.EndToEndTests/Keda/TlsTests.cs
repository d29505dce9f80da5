using System.Text.Json.Nodes;
using Serverless.Scaler.Listening;

namespace Serverless.EndToEndTests.Keda;

/// <summary>The real KEDA towards a scaler that asks for its certificate: what a TriggerAuthentication holds is what KEDA needs.</summary>
public sealed class TlsTests(KedaCluster cluster) : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-tls-");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task A_pool_comes_up_over_mutual_tls()
    {
        await cluster.UpAsync();
        using var authority = new TestAuthority("authority");
        var tls = new ScalerTlsOptions { CertificateFile = Write("tls.crt", authority.Issue("127.0.0.1", out var key)), KeyFile = Write("tls.key", key), ClientCaFile = Write("ca.crt", authority.Certificate) };
        var pool = new KedaPool("secured");
        var world = new ScalerWorld(pool);
        await using var scaler = await ServedScaler.StartAsync(world, tls);
        var client = authority.Issue("keda", out var clientKey);
        await cluster.ApplyAsync($"{Authentication(authority.Certificate, client, clientKey)}\n---\n{pool.Manifests(scaler.Address, "keda-tls")}");
        await using var replicas = await cluster.WatchAsync($"deployment/{pool.Name}", ".spec.replicas");
        await cluster.KubectlAsync("wait", $"scaledobject/{pool.Name}", "--for=condition=Ready", "--timeout=50s");

        world.Demand.Publish(pool.Demand(pending: 20));

        await replicas.UntilAsync(value => value == "1", Token);
    }

    private static string Authentication(string authority, string certificate, string key) => $"{new JsonObject
    {
        ["apiVersion"] = "v1",
        ["kind"] = "Secret",
        ["metadata"] = new JsonObject { ["name"] = "keda-tls", ["namespace"] = KedaCluster.Namespace },
        ["stringData"] = new JsonObject { ["ca"] = authority, ["cert"] = certificate, ["key"] = key },
    }.ToJsonString()}\n---\n{new JsonObject
    {
        ["apiVersion"] = "keda.sh/v1alpha1",
        ["kind"] = "TriggerAuthentication",
        ["metadata"] = new JsonObject { ["name"] = "keda-tls", ["namespace"] = KedaCluster.Namespace },
        ["spec"] = new JsonObject
        {
            ["secretTargetRef"] = new JsonArray(Reference("caCert", "ca"), Reference("tlsClientCert", "cert"), Reference("tlsClientKey", "key")),
        },
    }.ToJsonString()}";

    private static JsonObject Reference(string parameter, string key) => new() { ["parameter"] = parameter, ["name"] = "keda-tls", ["key"] = key };

    private string Write(string name, string text)
    {
        var path = Path.Combine(_folder.FullName, name);
        File.WriteAllText(path, text);
        return path;
    }
}
