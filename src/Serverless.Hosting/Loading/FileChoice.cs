using System.IO.Enumeration;
using System.Text.RegularExpressions;
using Serverless.Catalog;
using Serverless.Engines;

namespace Serverless.Hosting.Loading;

/// <summary>Which files of a listing make the model. Pure.</summary>
internal static partial class FileChoice
{
    private const int MostTold = 12;

    /// <summary>What an engine reads of a folder of transformers.</summary>
    private static readonly string[] OfTransformers = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.tiktoken", "*.txt"];

    /// <summary>The one that llama.cpp and Ollama take too where nobody says.</summary>
    private const string Preferred = "Q4_K_M";

    /// <exception cref="ModelPullException">There is none, or nobody said which.</exception>
    public static IReadOnlyList<RemoteFile> Of(IReadOnlyList<RemoteFile> files, ModelSource source)
    {
        if (source.File is { } named) return Named(files, named, source);
        if (source.Allow is not null || source.Ignore is not null)
        {
            var matching = files.Where(file => (source.Allow is null || Matches(file.Name, source.Allow)) && !(source.Ignore is not null && Matches(file.Name, source.Ignore))).ToList();
            return matching.Count > 0 ? matching : throw new ModelPullException($"{source.Shown}: no file matches its patterns; there are {Told(files)}.");
        }

        if (files.Count == 1) return files;
        if (files.Any(file => file.Name.EndsWith(".safetensors", StringComparison.Ordinal) && !file.Name.Contains('/', StringComparison.Ordinal)))
            return [.. files.Where(file => !file.Name.Contains('/', StringComparison.Ordinal) && OfTransformers.Any(pattern => FileSystemName.MatchesSimpleExpression(pattern, file.Name)))];

        var models = files.Where(IsGguf).GroupBy(file => PartOf().Replace(file.Name, "")).ToList();
        if (models.Count == 0) throw new ModelPullException($"{source.Shown} holds neither a *.gguf nor *.safetensors; there are {Told(files)}.");
        if (models.Count == 1) return [.. models[0]];

        var preferred = models.Where(model => model.Key.Contains(Preferred, StringComparison.OrdinalIgnoreCase)).ToList();
        return preferred.Count == 1 ? [.. preferred[0]] : throw new ModelPullException($"{source.Shown} holds several models; name one of {Told([.. models.Select(model => model.First())])}.");
    }

    /// <summary>What an engine is given: the one model file (of several parts the first), or the folder.</summary>
    public static string? Entry(IReadOnlyList<string> names)
    {
        var models = names.Where(name => name.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase)).Order(StringComparer.Ordinal).ToList();
        if (models.Count > 0 && models.Select(name => PartOf().Replace(name, "")).Distinct(StringComparer.Ordinal).Count() == 1) return models[0];
        return names.Count == 1 ? names[0] : null;
    }

    /// <summary>A file of several parts brings the others.</summary>
    private static List<RemoteFile> Named(IReadOnlyList<RemoteFile> files, string named, ModelSource source)
    {
        var name = PartOf().Replace(named, "");
        var found = files.Where(file => file.Name == named || (name != named && PartOf().Replace(file.Name, "") == name)).ToList();
        return found.Exists(file => file.Name == named) ? found : throw new ModelPullException($"{source.Shown}: there is no file '{named}'; there are {Told(files)}.");
    }

    private static bool IsGguf(RemoteFile file) => file.Name.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) && !file.Name.Contains("mmproj", StringComparison.OrdinalIgnoreCase);

    /// <summary>As huggingface_hub reads patterns: <c>*</c> is anything, slashes too, and a pattern that ends with one is a folder.</summary>
    private static bool Matches(string name, string patterns) => patterns.Split('\n').Any(pattern => FileSystemName.MatchesSimpleExpression(pattern.EndsWith('/') ? pattern + "*" : pattern, name, ignoreCase: false));

    private static string Told(IReadOnlyList<RemoteFile> files) => files.Count == 0 ? "none" : string.Join(", ", files.Take(MostTold).Select(file => file.Name)) + (files.Count > MostTold ? $" and {files.Count - MostTold} more" : "");

    [GeneratedRegex(@"-\d{5}-of-\d{5}(?=\.gguf$)", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant, 1000)]
    private static partial Regex PartOf();
}
