using System.Text;
using Serverless.Inference.Tokenizers;

namespace Serverless.Inference.Batching;

/// <summary>The tokens of a vocabulary that end a repetition.</summary>
internal static class DryBreakers
{
    /// <summary>Those with one of the texts in them, and those that have no text.</summary>
    public static IReadOnlySet<int> Of(Tokenizer tokenizer, IReadOnlyList<string> texts)
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
}
