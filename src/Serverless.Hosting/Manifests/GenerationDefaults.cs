using System.Globalization;
using System.Text.Json;
using Serverless.Catalog;
using Serverless.Inference.Gguf;

namespace Serverless.Hosting.Manifests;

/// <summary>
/// How a model's makers want its tokens chosen: what its GGUF file says in <c>general.sampling.*</c>, and else the <c>generation_config.json</c> that lies beside it, as both come from Hugging Face.
/// </summary>
internal static class GenerationDefaults
{
    private const string FileName = "generation_config.json";
    private const int MostBytes = 64 << 10;

    private static readonly (string InGguf, string InConfig, double Most)[] Known =
        [("general.sampling.temp", "temperature", 2), ("general.sampling.top_p", "top_p", 1), ("general.sampling.top_k", "top_k", int.MaxValue), ("general.sampling.min_p", "min_p", 1)];

    /// <summary>The defaults, and what is there and cannot be one; null where all could be taken. A value that no request could have stops no model.</summary>
    public static (SamplingDefaults Sampling, string? Ignored) Of(string path, GgufFile? file)
    {
        var ignored = new List<string>();
        var config = Config(path, ignored);
        var values = Array.ConvertAll(Known, known => Within(known.InGguf, InGguf(file, known.InGguf, ignored), known.Most, ignored) ?? Within($"{FileName}: {known.InConfig}", InConfig(config, known.InConfig, ignored), known.Most, ignored));
        if (config is { } greedy && greedy.TryGetProperty("do_sample", out var samples) && samples.ValueKind == JsonValueKind.False) values[0] ??= 0;

        var sampling = new SamplingDefaults { Temperature = values[0], TopP = values[1], TopK = (int?)values[2], MinP = values[3] };
        return (sampling, ignored.Count == 0 ? null : $"is of a file whose sampling defaults are not all taken: {string.Join("; ", ignored)}");
    }

    /// <summary>Of the number of candidates −1 means all, as 0 does here.</summary>
    private static double? Within(string name, double? value, double most, List<string> ignored)
    {
        if (value is null) return null;
        if (value == -1 && most == int.MaxValue) return 0;
        if (value >= 0 && value <= most) return Math.Round(value.Value, 6); // as it was written: floats have no 0.2

        ignored.Add(string.Create(CultureInfo.InvariantCulture, $"{name} is {value}, and 0 to {most} is allowed"));
        return null;
    }

    private static double? InGguf(GgufFile? file, string key, List<string> ignored)
    {
        try
        {
            return file?.Find<double?>(key);
        }
        catch (GgufException exception)
        {
            ignored.Add(exception.Message);
            return null;
        }
    }

    private static double? InConfig(JsonElement? config, string name, List<string> ignored)
    {
        if (config is not { } all || !all.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null) return null;
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number)) return number;

        ignored.Add($"{FileName}: {name} is no number");
        return null;
    }

    private static JsonElement? Config(string path, List<string> ignored)
    {
        var beside = Path.Combine(Path.GetDirectoryName(path)!, FileName);
        try
        {
            var length = ModelFile.Final(beside) is { Exists: true } found ? found.Length : 0; // a pipe has none, and would be waited for
            if (length == 0) return null;
            if (length > MostBytes)
            {
                ignored.Add(string.Create(CultureInfo.InvariantCulture, $"{FileName} has {length} bytes, and {MostBytes} are read"));
                return null;
            }

            using var document = JsonDocument.Parse(File.ReadAllBytes(beside));
            if (document.RootElement.ValueKind == JsonValueKind.Object) return document.RootElement.Clone();
            ignored.Add($"{FileName} is no object");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException)
        {
            ignored.Add($"{FileName} cannot be read: {exception.Message}");
        }

        return null;
    }
}
