using Serverless.Hosting.Redis.Connection;
using Shouldly;

namespace Serverless.EndToEndTests.Redis;

/// <summary>What INFO says, and what is made of it; the cases that a test cannot start.</summary>
public sealed class RedisServerCheckTests
{
    private const string Good = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\naof_enabled:1\r\nmaxmemory_policy:noeviction\r\n";

    [Fact]
    public void A_server_that_keeps_what_it_gets_will_do() => RedisServerCheck.Find(Good).ShouldBeNull();

    [Theory]
    [InlineData("redis_mode:standalone", "redis_mode:cluster", "cluster mode")]
    [InlineData("redis_version:7.0.15", "redis_version:5.0.1", "5.0.1")]
    [InlineData("aof_enabled:1", "aof_enabled:0", "appendonly yes")]
    [InlineData("noeviction", "volatile-ttl", "maxmemory-policy volatile-ttl")]
    public void One_that_does_not_is_named_with_the_value_and_the_fix(string good, string bad, string said) =>
        RedisServerCheck.Find(Good.Replace(good, bad, StringComparison.Ordinal)).ShouldNotBeNull().ShouldContain(said);

    [Fact]
    public void All_faults_are_said_at_once()
    {
        var said = RedisServerCheck.Find(Good.Replace("aof_enabled:1", "aof_enabled:0", StringComparison.Ordinal).Replace("noeviction", "allkeys-lru", StringComparison.Ordinal)).ShouldNotBeNull();

        said.ShouldContain("appendonly");
        said.ShouldContain("allkeys-lru");
    }
}
