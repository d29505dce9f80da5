using System.Text.RegularExpressions;
using Serverless.Errors;
using StackExchange.Redis;

namespace Serverless.Hosting.Redis.Connection;

/// <summary>
/// What a call that failed means to its caller: whatever Redis or its client says, the store is not to be had now, and may be later. Only words that can have no other cause than a
/// fault of ours are told apart, for the log: the caller does the same about them.
/// </summary>
internal static partial class RedisFaults
{
    private static readonly string[] Ours = ["unknown command", "wrong number of arg", "syntax error", "not an integer", "not a valid float", "compiling script", "user_script"];

    public static bool IsUnavailable(Exception exception) => exception is RedisException or RedisCommandException or TimeoutException or ObjectDisposedException;

    /// <summary>What Redis refused with, in a word; of a script on Redis 6.2 or older what stands inside: <c>ERR Error running script (call to f_…): @user_script:7: -OOM command not allowed …</c>.</summary>
    public static string Code(Exception exception)
    {
        if (exception is not RedisServerException) return exception.GetType().Name;
        if (Wrapped().Match(exception.Message) is { Success: true } inner) return inner.Groups[1].Value;
        var word = exception.Message.AsSpan(0, Math.Min(exception.Message.Length, 40));
        return (word.IndexOf(' ') is var end and > 0 ? word[..end] : word).ToString();
    }

    /// <summary>Whether it can only be our own mistake, or another's who writes under our prefix: a key of another type, a script or a command that no Redis would take.</summary>
    public static bool IsOurs(Exception exception) => exception is RedisServerException && Code(exception) switch
    {
        "WRONGTYPE" => true,
        "ERR" => Ours.Any(word => exception.Message.Contains(word, StringComparison.Ordinal)),
        _ => false,
    };

    public static ServingException Unavailable(Exception exception) =>
        new(new ServingFault(ServingError.StoreUnavailable, $"The store cannot be reached or does not take this now ({Code(exception)}); send the request again."), exception);

    [GeneratedRegex(@"^ERR Error running script .*?: -([A-Z]+)\b", RegexOptions.Singleline, 1000)]
    private static partial Regex Wrapped();
}
