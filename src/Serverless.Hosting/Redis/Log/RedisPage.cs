namespace Serverless.Hosting.Redis.Log;

/// <summary>Part of a log as a follower read it.</summary>
/// <param name="Run">The server's run it was read from.</param>
/// <param name="Last">The log's last sequence; -1: there is no such log.</param>
/// <param name="Ended">Whether that is its end.</param>
/// <param name="Records">What follows the sequence asked for, without gaps; may be less than there is.</param>
internal sealed record RedisPage(string Run, long Last, bool Ended, IReadOnlyList<ReadOnlyMemory<byte>> Records);
