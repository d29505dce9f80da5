using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Serverless.Catalog;
using Serverless.Hosting.Sessions;
using Serverless.Sessions;
using Shouldly;

namespace Serverless.EndToEndTests.Sessions;

public sealed class SessionTlsTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-tls-");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Both_sides_prove_who_they_are_and_strangers_are_refused()
    {
        var (authority, other) = (NewAuthority("ours"), NewAuthority("theirs"));
        await using var host = await SessionsHost.StartAsync(options => Secure(options, authority, "gateway"));
        await host.LeaseAsync();
        await using var accepting = host.Sessions.AcceptAsync(TestRequests.Model, 1, Token).Enumerate(Token);
        var next = accepting.MoveNextAsync().AsTask();

        // A worker of another authority, and one without a certificate, get nowhere.
        var stranger = Options(host, options => Secure(options, other, "stranger"));
        var trusting = Options(host, options =>
        {
            Secure(options, other, "trusting");
            options.Authority = Path.Combine(_folder.FullName, "ours.pem");
        });
        foreach (var options in new[] { stranger, trusting, Options(host, _ => { }) })
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(1), TimeProvider.System);
            using var refused = host.NewConnector(options);
            await Should.ThrowAsync<OperationCanceledException>(() => refused.ConnectAsync(Worker(), limit.Token).AsTask());
        }

        next.IsCompleted.ShouldBeFalse();
        using var ours = host.NewConnector(Options(host, options => Secure(options, authority, "worker")));
        await using var link = await ours.ConnectAsync(Worker(), Token).WithinLimitAsync();
        (await next.WithinLimitAsync()).ShouldBeTrue();
        accepting.Current.Worker.Worker.ShouldBe("worker-1");
    }

    [Fact]
    public async Task A_certificate_speaks_for_its_worker_alone()
    {
        var authority = NewAuthority("ours");
        await using var host = await SessionsHost.StartAsync(options => Secure(options, authority, "gateway"));
        await host.LeaseAsync();
        await using var accepting = host.Sessions.AcceptAsync(TestRequests.Model, 1, Token).GetAsyncEnumerator(Token);
        var next = accepting.MoveNextAsync().AsTask();
        using var another = host.NewConnector(Options(host, options => Secure(options, authority, "another-2")));
        using (var limit = new CancellationTokenSource(TimeSpan.FromSeconds(1), TimeProvider.System))
            await Should.ThrowAsync<OperationCanceledException>(() => another.ConnectAsync(Worker(), limit.Token).AsTask());

        next.IsCompleted.ShouldBeFalse();
        await using var own = await another.ConnectAsync(Worker() with { Worker = "another-2" }, Token).WithinLimitAsync();
        (await next.WithinLimitAsync()).ShouldBeTrue();
    }

    [Fact]
    public async Task A_certificate_for_servers_only_is_no_workers()
    {
        var authority = NewAuthority("ours");
        await using var host = await SessionsHost.StartAsync(options => Secure(options, authority, "gateway"));
        await host.LeaseAsync();
        await using var accepting = host.Sessions.AcceptAsync(TestRequests.Model, 1, Token).GetAsyncEnumerator(Token);
        var next = accepting.MoveNextAsync().AsTask();
        using var server = host.NewConnector(Options(host, options => Secure(options, authority, "worker-1", "1.3.6.1.5.5.7.3.1")));
        using (var limit = new CancellationTokenSource(TimeSpan.FromSeconds(1), TimeProvider.System))
            await Should.ThrowAsync<OperationCanceledException>(() => server.ConnectAsync(Worker(), limit.Token).AsTask());

        next.IsCompleted.ShouldBeFalse();
        using var client = host.NewConnector(Options(host, options => Secure(options, authority, "worker-1", "1.3.6.1.5.5.7.3.2")));
        await using var link = await client.ConnectAsync(Worker(), Token).WithinLimitAsync();
        (await next.WithinLimitAsync()).ShouldBeTrue();
    }

    [Fact]
    public async Task Replaced_certificates_are_in_use_from_the_next_session_at_both_ends()
    {
        var (old, young) = (NewAuthority("old"), NewAuthority("young"));
        await using var host = await SessionsHost.StartAsync(options => Secure(options, old, "gateway"));
        await host.LeaseAsync();
        await using var accepting = host.Sessions.AcceptAsync(TestRequests.Model, 1, Token).GetAsyncEnumerator(Token);
        var next = accepting.MoveNextAsync().AsTask();
        using var connector = host.NewConnector(Options(host, options => Secure(options, old, "worker")));
        await using (await connector.ConnectAsync(Worker(), Token).WithinLimitAsync()) (await next.WithinLimitAsync()).ShouldBeTrue();

        // The same files, other contents, as when cert-manager renews them under another authority.
        Secure(new WorkerSessionOptions(), young, "gateway");
        Secure(new WorkerSessionOptions(), young, "worker");
        File.Copy(Path.Combine(_folder.FullName, "young.pem"), Path.Combine(_folder.FullName, "old.pem"), overwrite: true);
        using var fresh = host.NewConnector(Options(host, options => (options.Certificate, options.Key, options.Authority) = (PathOf("worker.pem"), PathOf("worker.key"), PathOf("young.pem"))));
        await using var link = await fresh.ConnectAsync(Worker(), Token).WithinLimitAsync();
        (await accepting.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
    }

    public void Dispose() => _folder.Delete(recursive: true);

    private static WorkerDescription Worker() => new()
    {
        Worker = "worker-1", Pool = new PoolName("tiny-cpu"), Model = TestRequests.Model, Engine = "simulated", KvCapacityTokens = 1000, Slots = 4,
    };

    private static WorkerSessionOptions Options(SessionsHost host, Action<WorkerSessionOptions> configure)
    {
        var options = new WorkerSessionOptions { Host = host.Options.Host, Port = host.Options.Port };
        configure(options);
        return options;
    }

    private X509Certificate2 NewAuthority(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        var now = TimeProvider.System.GetUtcNow();
        var authority = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
        File.WriteAllText(Path.Combine(_folder.FullName, $"{name}.pem"), authority.ExportCertificatePem());
        return authority;
    }

    private string PathOf(string file) => Path.Combine(_folder.FullName, file);

    private void Secure(WorkerSessionOptions options, X509Certificate2 authority, string name, params string[] uses)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        if (uses.Length > 0) request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([.. uses.Select(use => new Oid(use))], critical: false));
        using var certificate = request.Create(authority, TimeProvider.System.GetUtcNow().AddHours(-1), TimeProvider.System.GetUtcNow().AddHours(1), RandomNumberGenerator.GetBytes(8));
        options.Certificate = Path.Combine(_folder.FullName, $"{name}.pem");
        options.Key = Path.Combine(_folder.FullName, $"{name}.key");
        options.Authority = Path.Combine(_folder.FullName, $"{authority.GetNameInfo(X509NameType.SimpleName, false)}.pem");
        File.WriteAllText(options.Certificate, certificate.ExportCertificatePem());
        File.WriteAllText(options.Key, key.ExportPkcs8PrivateKeyPem());
    }
}
