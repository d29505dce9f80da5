using Serverless.Errors;
using Serverless.Hosting.Redis.Connection;
using Shouldly;
using StackExchange.Redis;

namespace Serverless.Tests.Stores;

public sealed class RedisFaultsTests
{
    [Theory]
    [InlineData("OOM command not allowed when used memory > 'maxmemory'. script: 2b1c, on @user_script:7.", "OOM", false)]
    [InlineData("ERR Error running script (call to f_2b1c): @user_script:7: @user_script: 7: -OOM command not allowed when used memory > 'maxmemory'.", "OOM", false)]
    [InlineData("ERR Error running script (call to f_2b1c): @user_script:7: -READONLY You can't write against a read only replica.", "READONLY", false)]
    [InlineData("ERR Error running script (call to f_2b1c): @user_script:7: -WRONGTYPE Operation against a key holding the wrong kind of value", "WRONGTYPE", true)]
    [InlineData("NOPERM this user has no permissions to run the 'evalsha' command", "NOPERM", false)]
    [InlineData("WRONGTYPE Operation against a key holding the wrong kind of value", "WRONGTYPE", true)]
    [InlineData("ERR Error compiling script (new function): user_script:1: '=' expected near 'is'", "ERR", true)]
    [InlineData("ERR Error running script (call to f_2b1c): @user_script:1: user_script:1: attempt to index a nil value", "ERR", true)]
    [InlineData("ERR user_script:1: attempt to index a nil value script: 2b1c, on @user_script:1.", "ERR", true)]
    [InlineData("ERR unknown command 'GETEX'", "ERR", true)]
    [InlineData("ERR max number of clients reached", "ERR", false)]
    [InlineData("SOMETHING that no release of ours knows", "SOMETHING", false)]
    [InlineData("", "", false)]
    public void Whatever_Redis_refuses_with_is_unavailable_and_our_own_mistakes_are_told_apart_for_the_log(string message, string code, bool isOurs)
    {
        var refused = new RedisServerException(RedisErrorKind.Unknown, CommandFlags.None, message);

        RedisFaults.IsUnavailable(refused).ShouldBeTrue();
        RedisFaults.Code(refused).ShouldBe(code);
        RedisFaults.IsOurs(refused).ShouldBe(isOurs);
        RedisFaults.Unavailable(refused).Fault.Error.ShouldBe(ServingError.StoreUnavailable);
    }

    [Fact]
    public void So_is_whatever_the_client_says()
    {
        foreach (var exception in new Exception[] { new RedisConnectionException(ConnectionFailureType.SocketFailure, CommandFlags.None, "gone", null, CommandStatus.Unknown), new RedisTimeoutException(CommandFlags.None, "late", CommandStatus.Unknown), new RedisCommandException("replica"), new ObjectDisposedException("multiplexer") })
            RedisFaults.IsUnavailable(exception).ShouldBeTrue($"{exception.GetType()}");
        RedisFaults.IsUnavailable(new InvalidCastException()).ShouldBeFalse("that is a fault in what we make of an answer");
    }
}
