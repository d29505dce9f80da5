using System.CommandLine.Parsing;
using System.Globalization;
using System.Numerics;

namespace Serverless.Cli.Parsing;

/// <summary>Numbers of options, with their bounds in the fault.</summary>
internal static class Numbers
{
    public static Func<ArgumentResult, T> Between<T>(T min, T max, string hint = "")
        where T : struct, INumber<T> => result => Read(result, min, max, hint) ?? default;

    public static Func<ArgumentResult, T?> MaybeBetween<T>(T min, T max, string hint = "")
        where T : struct, INumber<T> => result => Read(result, min, max, hint);

    private static T? Read<T>(ArgumentResult result, T min, T max, string hint)
        where T : struct, INumber<T>
    {
        if (result.Tokens.Count == 0) return null;

        var text = result.Tokens[^1].Value;
        if (T.TryParse(text, NumberStyles.Float & ~NumberStyles.AllowExponent, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max) return number;

        var kind = typeof(T) == typeof(double) ? "a number" : "a whole number";
        result.AddError(string.Create(CultureInfo.InvariantCulture, $"{NameOf(result)} is '{text}'; give {kind} from {min:0.###} to {max:0.###}{hint}."));
        return null;
    }

    /// <summary>As it was written: <c>--port</c>.</summary>
    public static string NameOf(ArgumentResult result) => result.Parent is OptionResult option ? option.Option.Name : result.Argument.Name.ToUpperInvariant();
}
