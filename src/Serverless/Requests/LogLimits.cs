using System.Globalization;
using Serverless.Errors;

namespace Serverless.Requests;

/// <summary>What one request may keep in a log, and how its output is measured.</summary>
public static class LogLimits
{
    /// <summary>Bytes of output that a log keeps of one request, where nothing else is said: 128 choices of 8,192 tokens without log-probabilities, some 100,000 tokens with twenty of them each.</summary>
    public const long MaxOutputBytes = 32 * 1024 * 1024;

    /// <summary>Events handed over in one piece to a reader at most.</summary>
    internal const int EventsAtOnce = 256;

    /// <summary>What a client is told whose output is larger.</summary>
    public static RequestEvent.Failed TooLarge(long limit) => new(new ServingFault(
        ServingError.OutputTooLarge,
        string.Create(CultureInfo.InvariantCulture, $"The output of this request is larger than the {limit:N0} bytes that are kept of one; ask for fewer choices ('n'), tokens or 'top_logprobs'.")));

    /// <summary>What an event takes in memory, about.</summary>
    internal static long SizeOf(RequestEvent logged) => logged is RequestEvent.Chunk chunk ? 64 + chunk.Choices.Sum(SizeOf) : 128;

    /// <summary>What a piece of output takes in memory, about.</summary>
    public static long SizeOf(ChoiceChunk choice)
    {
        ArgumentNullException.ThrowIfNull(choice);
        return 96 + (4L * choice.TokenIds.Count) + (2L * choice.Text.Length) + choice.HeldBack.Length + choice.LogProbs.Sum(SizeOf);
    }

    private static long SizeOf(TokenLogProb token) => 64 + token.Bytes.Length + token.Top.Sum(SizeOf);
}
