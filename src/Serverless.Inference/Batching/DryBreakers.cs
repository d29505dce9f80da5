using System.Runtime.CompilerServices;
using System.Text;
using Serverless.Inference.Sampling;
using Serverless.Inference.Tokenizers;

namespace Serverless.Inference.Batching;

/// <summary>The tokens of a vocabulary that end a repetition.</summary>
internal static class DryBreakers
{
    private static readonly ConditionalWeakTable<DryOptions, Found> Known = [];

    /// <summary>Those with one of the texts in them, and those that have no text. All choices of a request have them from one search: the whole vocabulary is looked through.</summary>
    public static IReadOnlySet<int> Of(Tokenizer tokenizer, DryOptions options)
    {
        if (Known.TryGetValue(options, out var known) && known.Tokenizer == tokenizer) return known.Breakers;

        var found = new Found(tokenizer, Search(tokenizer, options.Breakers));
        Known.AddOrUpdate(options, found);
        return found.Breakers;
    }

    private static HashSet<int> Search(Tokenizer tokenizer, IReadOnlyList<string> texts)
    {
        byte[][] sought = [.. texts.Where(text => text.Length > 0).Select(Encoding.UTF8.GetBytes)];
        var breakers = new HashSet<int>();
        for (var token = 0; token < tokenizer.VocabularySize; token++)
        {
            var bytes = tokenizer.Bytes(token).Span;
            if (bytes.IsEmpty || Array.Exists(sought, text => tokenizer.Bytes(token).Span.IndexOf(text) >= 0)) breakers.Add(token);
        }

        return breakers;
    }

    private sealed record Found(Tokenizer Tokenizer, IReadOnlySet<int> Breakers);
}
