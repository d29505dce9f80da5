using System.Text.Json.Serialization.Metadata;

namespace Serverless.Hosting.Redis.Feeds;

/// <summary>What a <see cref="RedisLatest{T}"/> holds.</summary>
/// <param name="Name">The name under which a value counts.</param>
/// <param name="Json">How it is written.</param>
/// <param name="Lifetime">After so long without a word it is forgotten.</param>
/// <param name="KeepAlive">Whether a living publisher keeps its values fresh though they do not change, until another overwrites them.</param>
internal sealed record RedisLatestOptions<T>(Func<T, string> Name, JsonTypeInfo<T> Json, TimeSpan Lifetime, bool KeepAlive);
