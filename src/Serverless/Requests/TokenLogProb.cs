namespace Serverless.Requests;

/// <summary>A token and its log-probability.</summary>
/// <param name="TokenId">The token.</param>
/// <param name="Bytes">Its bytes; may be part of a character.</param>
/// <param name="LogProb">Natural logarithm of its probability.</param>
/// <param name="Top">The most probable tokens at that position, itself perhaps among them; empty if not asked for or if this is one of them.</param>
public sealed record TokenLogProb(int TokenId, ReadOnlyMemory<byte> Bytes, float LogProb, IReadOnlyList<TokenLogProb> Top);
