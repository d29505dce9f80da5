using System.Text;

namespace Serverless.Hosting.Engines.OpenAi;

/// <summary>Arguments as one types them: apart by blanks, together within quotes of either kind.</summary>
internal static class ArgumentText
{
    /// <summary>Null: a quote is opened and not closed.</summary>
    public static IReadOnlyList<string>? Split(string text)
    {
        var arguments = new List<string>();
        var word = new StringBuilder();
        var isWord = false;
        char? quote = null;
        foreach (var one in text)
        {
            if (quote is not null && one == quote)
            {
                quote = null;
            }
            else if (quote is null && one is '\'' or '"')
            {
                (quote, isWord) = (one, true);
            }
            else if (quote is null && char.IsWhiteSpace(one))
            {
                if (isWord) arguments.Add(word.ToString());
                word.Clear();
                isWord = false;
            }
            else
            {
                word.Append(one);
                isWord = true;
            }
        }

        if (isWord) arguments.Add(word.ToString());
        return quote is null ? arguments : null;
    }
}
