namespace Serverless.Hosting.Redis.Connection;

/// <summary>Something that reads from Redis before the host serves, and goes on reading.</summary>
internal interface IRedisPart
{
    /// <summary>Returns once it has what is there now. Called once, when the connection is open.</summary>
    Task StartAsync(CancellationToken cancellationToken);
}
