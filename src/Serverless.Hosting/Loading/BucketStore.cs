using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;
using Serverless.Catalog;
using Serverless.Engines;
using Serverless.Hosting.Files;

namespace Serverless.Hosting.Loading;

/// <summary>Buckets of S3 and of what speaks its language: listed by the SDK, read over addresses that it signs, so that they are pulled as any file of the web.</summary>
internal sealed class BucketStore(ModelOptions options) : IDisposable
{
    private const int MostPages = RemoteNames.MostFiles / 1000;

    /// <summary>How long a signed address may be used; each request has a new one.</summary>
    private static readonly TimeSpan Signed = TimeSpan.FromHours(1);

    private readonly Dictionary<string, AmazonS3Client> _clients = new(StringComparer.Ordinal);
    private readonly Lock _lock = new();

    public async Task<Listing> ListAsync(ModelSource source, CancellationToken cancellationToken)
    {
        var slash = source.Location.IndexOf('/');
        var (place, path) = (source.Location[..slash], source.Location[(slash + 1)..]);
        var (bucket, endpoint) = Place(source.Scheme, place);
        var client = Client(source.Scheme, endpoint);
        try
        {
            return new Listing(null, await FilesAsync(client, bucket, path, cancellationToken));
        }
        catch (Exception exception) when (exception is AmazonServiceException or AmazonClientException or HttpRequestException)
        {
            throw new ModelPullException($"{source.Shown} cannot be listed: {exception.Message} ({ModelOptions.Section}:{Section(source.Scheme)} says where the store is and which key opens it.)", exception);
        }
    }

    public void Dispose()
    {
        foreach (var client in _clients.Values) client.Dispose();
    }

    private static async Task<List<RemoteFile>> FilesAsync(AmazonS3Client client, string bucket, string path, CancellationToken cancellationToken)
    {
        var files = new List<RemoteFile>();
        var request = new ListObjectsV2Request { BucketName = bucket, Prefix = path.TrimEnd('/') };
        for (var page = 0; page <= MostPages; page++)
        {
            var answer = await client.ListObjectsV2Async(request, cancellationToken);
            foreach (var one in answer.S3Objects ?? [])
            {
                // The object itself, or what lies below it; not its neighbours that begin alike.
                var name = one.Key == path ? path[(path.LastIndexOf('/') + 1)..] : one.Key.StartsWith(path.TrimEnd('/') + "/", StringComparison.Ordinal) ? one.Key[(path.TrimEnd('/').Length + 1)..] : "";
                if (name.Length == 0 || name.EndsWith('/')) continue;
                var key = one.Key;
                var file = new RemoteFile(name, one.Size, () => Sign(client, bucket, key)) { Validator = one.ETag is { Length: > 0 } tag ? tag.StartsWith('"') ? tag : $"\"{tag}\"" : null };
                if (key == path) return [file];
                files.Add(file);
            }

            if (answer.IsTruncated != true) break;
            request.ContinuationToken = answer.NextContinuationToken;
        }

        return files;
    }

    private static Uri Sign(AmazonS3Client client, string bucket, string key) => new(client.GetPreSignedURL(new GetPreSignedUrlRequest
    {
        BucketName = bucket,
        Key = key,
        Verb = HttpVerb.GET,
        Expires = TimeProvider.System.GetUtcNow().Add(Signed).UtcDateTime, // it goes by the server's clock
        Protocol = client.Config.ServiceURL?.StartsWith("http://", StringComparison.OrdinalIgnoreCase) == true ? Protocol.HTTP : Protocol.HTTPS,
    }));

    /// <summary>OSS names the endpoint behind the bucket: <c>oss://bucket.oss-cn-hangzhou.aliyuncs.com/path</c>.</summary>
    private static (string Bucket, Uri? Endpoint) Place(string scheme, string place) => scheme switch
    {
        "oss" when place.IndexOf('.') is > 0 and var dot => (place[..dot], new Uri($"https://{place[(dot + 1)..]}")),
        "gcs" => (place, new Uri("https://storage.googleapis.com")),
        _ => (place, null),
    };

    private static string Section(string scheme) => scheme switch { "oss" => nameof(ModelOptions.Oss), "gcs" => nameof(ModelOptions.Gcs), _ => nameof(ModelOptions.S3) };

    private AmazonS3Client Client(string scheme, Uri? own)
    {
        var given = scheme switch { "oss" => options.Oss, "gcs" => options.Gcs, _ => options.S3 };
        var endpoint = given.Endpoint ?? own;
        lock (_lock)
        {
            var name = $"{scheme} {endpoint}";
            if (_clients.TryGetValue(name, out var known)) return known;

            var region = given.Region is { Length: > 0 } named ? named : scheme == "s3" ? HubAnswers.Variable("AWS_REGION") ?? "us-east-1" : "auto";
            var (key, secret) = scheme == "oss" && given.AccessKey is null ? (HubAnswers.Variable("OSS_ACCESS_KEY_ID"), HubAnswers.Variable("OSS_ACCESS_KEY_SECRET")) : (given.AccessKey, given.SecretKey);
            return _clients[name] = S3Clients.Create(endpoint, region, key, secret, options.Timeout, isPathStyle: given.Endpoint is not null);
        }
    }
}
