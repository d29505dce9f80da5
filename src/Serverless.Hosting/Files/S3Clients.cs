using Amazon;
using Amazon.Runtime;
using Amazon.S3;

namespace Serverless.Hosting.Files;

/// <summary>Clients of S3 and of what speaks its language.</summary>
internal static class S3Clients
{
    private const int Retries = 2;

    /// <param name="endpoint">Where the store is; null: Amazon's of that region.</param>
    /// <param name="region">Which signatures name.</param>
    /// <param name="accessKey">Null or empty: what the SDK's chain finds.</param>
    /// <param name="secretKey">Its secret.</param>
    /// <param name="timeout">Of a call.</param>
    /// <param name="isPathStyle">Whether buckets stand in the path, as with stores that have one name alone.</param>
    public static AmazonS3Client Create(Uri? endpoint, string region, string? accessKey, string? secretKey, TimeSpan timeout, bool isPathStyle)
    {
        var config = new AmazonS3Config
        {
            ForcePathStyle = isPathStyle,
            // Stores that are not Amazon's know no trailing checksums; parts are signed with their SHA-256 over http, and travel in TLS over https.
            RequestChecksumCalculation = RequestChecksumCalculation.WHEN_REQUIRED,
            ResponseChecksumValidation = ResponseChecksumValidation.WHEN_REQUIRED,
            MaxErrorRetry = Retries,
            Timeout = timeout,
        };
        if (endpoint is not null) (config.ServiceURL, config.AuthenticationRegion) = (endpoint.ToString(), region);
        else config.RegionEndpoint = RegionEndpoint.GetBySystemName(region);
        return accessKey is { Length: > 0 } ? new AmazonS3Client(new BasicAWSCredentials(accessKey, secretKey), config) : new AmazonS3Client(config);
    }
}
