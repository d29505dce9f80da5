namespace Serverless.Hosting.Files;

/// <summary>An S3-compatible store.</summary>
public sealed class S3Options
{
    private const string Section = $"{FileStoreOptions.Section}:{nameof(FileStoreOptions.S3)}";

    /// <summary>Where it is, such as <c>http://minio:9000</c>; buckets are asked for by path. Default: none, which is Amazon's in the <see cref="Region"/>.</summary>
    public Uri? Endpoint { get; set; }

    /// <summary>The bucket; it must be there. Default: none, no S3.</summary>
    public string? Bucket { get; set; }

    /// <summary>Its region, which signatures name too. Default: <c>us-east-1</c>.</summary>
    public string Region { get; set; } = "us-east-1";

    /// <summary>What all keys begin with; one for each installation that shares the bucket, for what no file of an installation names is swept. Default: <c>serverless/</c>.</summary>
    public string Prefix { get; set; } = "serverless/";

    /// <summary>Id of the access key. Default: none, and the SDK's chain finds credentials (environment, web identity, instance).</summary>
    public string? AccessKey { get; set; }

    /// <summary>Its secret, best from the environment (<c>Files__S3__SecretKey</c>).</summary>
    public string? SecretKey { get; set; }

    /// <summary>After this long one call, or one read of an open file, counts as failed. Default: 30 seconds.</summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>What is wrong with them.</summary>
    internal IEnumerable<string> Faults()
    {
        if (Endpoint is { } endpoint && !(endpoint is { IsAbsoluteUri: true, Scheme: "http" or "https", AbsolutePath: "/" }))
            yield return $"{Section}:{nameof(Endpoint)} is '{endpoint}'; give http://HOST:PORT or https://HOST:PORT without a path.";
        if (Endpoint is not null && string.IsNullOrEmpty(Bucket))
            yield return $"{Section}:{nameof(Endpoint)} is '{Endpoint}' and {Section}:{nameof(Bucket)} is not set; name the bucket.";
        if (string.IsNullOrEmpty(AccessKey) != string.IsNullOrEmpty(SecretKey))
            yield return $"{Section}:{nameof(AccessKey)} and {Section}:{nameof(SecretKey)} go together: set both, or neither.";
        if (string.IsNullOrEmpty(Region))
            yield return $"{Section}:{nameof(Region)} is empty; a store that has none takes us-east-1.";
        if (Prefix.StartsWith('/') || Prefix.Length > 200)
            yield return $"{Section}:{nameof(Prefix)} is '{Prefix}'; give at most 200 characters, without a slash in front, such as serverless/.";
        if (Timeout < TimeSpan.FromSeconds(1) || Timeout > TimeSpan.FromMinutes(10))
            yield return $"{Section}:{nameof(Timeout)} is {Timeout}; give 00:00:01 to 00:10:00.";
    }
}
