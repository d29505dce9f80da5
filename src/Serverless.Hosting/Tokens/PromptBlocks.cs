using System.IO.Hashing;
using System.Runtime.InteropServices;
using Serverless.Requests;

namespace Serverless.Hosting.Tokens;

/// <summary>The chained hashes of a prompt's full blocks: each is of its own tokens, seeded with the hash before it, so that equal hashes mean equal prefixes.</summary>
internal static class PromptBlocks
{
    public static IReadOnlyList<ulong> Of(ReadOnlySpan<int> tokens)
    {
        var blocks = new ulong[tokens.Length / PromptCount.BlockTokens];
        var hash = 0UL;
        for (var i = 0; i < blocks.Length; i++)
        {
            var block = tokens.Slice(i * PromptCount.BlockTokens, PromptCount.BlockTokens);
            blocks[i] = hash = XxHash3.HashToUInt64(MemoryMarshal.AsBytes(block), unchecked((long)hash));
        }

        return blocks;
    }
}
