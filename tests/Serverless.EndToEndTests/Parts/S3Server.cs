using System.Globalization;
using Amazon.Runtime;
using Amazon.S3;
using Serverless.Hosting.Files;

namespace Serverless.EndToEndTests.Parts;

/// <summary>A real S3 server over a folder of the test (Versity S3 Gateway): its own port, a bucket, credentials.</summary>
internal sealed class S3Server : IAsyncDisposable
{
    private const string AccessKey = "test-access";
    private const string SecretKey = "test-secret-key";
    private const string Bucket = "files";

    private readonly string _folder = Directory.CreateTempSubdirectory("serverless-s3-").FullName;
    private readonly int _port = PartProcess.FreePort();

    private S3Server()
    {
    }

    /// <summary>Why tests that need it are skipped; null where it is there.</summary>
    public static string? Absent => Rig.AbsenceOf("versitygw", "versitygw");

    public PartProcess Process { get; private set; } = null!;

    public Uri Endpoint => new(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{_port}"));

    /// <summary>A running one, with an empty bucket.</summary>
    public static async Task<S3Server> StartNewAsync(CancellationToken cancellationToken)
    {
        var server = new S3Server();
        try
        {
            await server.StartAsync(cancellationToken);
            using var client = server.Client();
            await client.PutBucketAsync(Bucket, cancellationToken);
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts it on its port and folder, again after it was stopped.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var program = await Rig.PathAsync("versitygw", "versitygw");
        var data = Directory.CreateDirectory(Path.Combine(_folder, "data")).FullName;
        Process = PartProcess.Start(
            "versitygw",
            program,
            ["--access", AccessKey, "--secret", SecretKey, "--port", string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{_port}"), "posix", data],
            folder: _folder);
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = Endpoint };
        await Process.ReadyAsync(
            async token =>
            {
                using var answer = await client.GetAsync(new Uri("/", UriKind.Relative), token);
                return true; // 403, but it answers
            },
            cancellationToken);
    }

    /// <summary>How a gateway is told of it.</summary>
    public S3Options Options(string prefix = "serverless/") => new() { Endpoint = Endpoint, Bucket = Bucket, AccessKey = AccessKey, SecretKey = SecretKey, Prefix = prefix };

    public async ValueTask DisposeAsync()
    {
        if (Process is not null) await Process.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private AmazonS3Client Client() => new(new BasicAWSCredentials(AccessKey, SecretKey), new AmazonS3Config { ServiceURL = Endpoint.ToString(), ForcePathStyle = true, AuthenticationRegion = "us-east-1" });
}
