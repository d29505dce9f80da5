using System.Text;
using Serverless.Inference.Tokenizers;

namespace Serverless.Inference.Templates;

/// <summary>Tokens of a rendered prompt.</summary>
public static class PromptEncoder
{
    /// <summary>
    /// Encodes a prompt as one text, as the model was trained to see it; but control tokens written out count only where the template wrote them. Stops where there are more
    /// than <paramref name="limit"/> tokens.
    /// </summary>
    public static List<int> Encode(Tokenizer tokenizer, IReadOnlyList<TemplateSegment> segments, int limit = int.MaxValue)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(segments);
        List<int> output = [];
        var text = new StringBuilder();
        foreach (var segment in segments)
        {
            var rest = segment.Text.AsSpan();
            while (!segment.IsData && tokenizer.TryFindSpecial(rest, out var at, out var length, out var token))
            {
                text.Append(rest[..at]);
                Flush();
                output.Add(token);
                rest = rest[(at + length)..];
            }

            text.Append(rest);
            if (output.Count > limit) return output;
        }

        Flush();
        return output;

        void Flush()
        {
            tokenizer.Encode(text.ToString(), parseSpecial: false, output, limit);
            text.Clear();
        }
    }
}
