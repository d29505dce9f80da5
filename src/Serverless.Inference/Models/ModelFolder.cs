using System.Globalization;
using System.Text.Json;
using Serverless.Inference.Safetensors;
using Serverless.Inference.Tokenizers;
using Serverless.Inference.Weights;

namespace Serverless.Inference.Models;

/// <summary>A model as transformers saves it: config.json, tokenizer.json, a chat template, and model.safetensors or the parts that model.safetensors.index.json names.</summary>
internal sealed class ModelFolder : IModelSource
{
    private const int MaxConfigBytes = 1 << 20;
    private const int MaxIndexBytes = 32 << 20;
    private const int MaxTemplateBytes = 4 << 20;
    private const int MaxTokenizerBytes = 128 << 20;
    private const int MaxParts = 1024;

    private readonly string _path;
    private readonly List<SafetensorsFile> _files = [];
    private readonly Dictionary<string, WeightRows> _tensors = new(StringComparer.Ordinal);

    private ModelFolder(string path, ModelConfig config) => (_path, Config) = (path, config);

    public ModelConfig Config { get; }

    public IEnumerable<string> Names => _tensors.Keys;

    public string? ChatTemplate { get; private init; }

    /// <summary>Opens a folder.</summary>
    /// <exception cref="ModelFileException">A file is missing or malformed.</exception>
    /// <exception cref="ModelException">The model is of a kind that this engine does not run.</exception>
    public static ModelFolder Open(string path)
    {
        var bytes = Bytes(path, "config.json", MaxConfigBytes) ?? throw new SafetensorsException($"'{path}' has no config.json: name a .gguf file, or a folder with config.json, tokenizer.json and model.safetensors.");
        var config = Parsed(path, "config.json", bytes, FolderConfig.Read);
        var folder = new ModelFolder(path, config) { ChatTemplate = TemplateOf(path) };
        try
        {
            foreach (var part in PartsOf(path)) folder.Add(part);
            return folder;
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    public WeightRows? Find(string name) => _tensors.GetValueOrDefault(name);

    public Tokenizer ReadTokenizer() => Parsed(_path, "tokenizer.json", TokenizerBytes(), root => TokenizerJson.Read(root, Settings(), Config.Vocabulary));

    public void CheckTokenizer() => Parsed(_path, "tokenizer.json", TokenizerBytes(), root => TokenizerJson.Check(root));

    public void Dispose()
    {
        foreach (var file in _files) file.Dispose();
    }

    private static byte[]? Bytes(string path, string name, int limit) => FileBytes.All(Path.Combine(path, name), limit, Fault);

    private static SafetensorsException Fault(string message, Exception? inner) => new(message, inner);

    private static T Parsed<T>(string path, string name, byte[] bytes, Func<JsonElement, T> read)
    {
        try
        {
            using var document = JsonDocument.Parse(bytes, new JsonDocumentOptions { MaxDepth = 32 });
            return document.RootElement.ValueKind == JsonValueKind.Object ? read(document.RootElement) : throw new SafetensorsException($"'{Path.Combine(path, name)}' is a JSON {document.RootElement.ValueKind}; it must be an object.");
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or FormatException or KeyNotFoundException)
        {
            throw new SafetensorsException($"'{Path.Combine(path, name)}' cannot be read: {SafetensorsException.Short(exception.Message)}", exception);
        }
        catch (ModelException exception)
        {
            throw new ModelException($"{name}: {exception.Message}");
        }
    }

    /// <summary>The files with weights, in the order of their names.</summary>
    private static IEnumerable<string> PartsOf(string path)
    {
        const string Index = "model.safetensors.index.json";
        if (Bytes(path, Index, MaxIndexBytes) is not { } bytes) return [Path.Combine(path, "model.safetensors")];

        var names = Parsed(path, Index, bytes, root => root.TryGetProperty("weight_map", out var map)
            ? map.EnumerateObject().Select(entry => entry.Value.GetString() ?? "").Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToArray()
            : throw new SafetensorsException($"'{Path.Combine(path, Index)}' has no 'weight_map'."));
        if (names.Length is 0 or > MaxParts) throw new SafetensorsException(string.Create(CultureInfo.InvariantCulture, $"'{Path.Combine(path, Index)}' names {names.Length} files; 1 to {MaxParts} are read."));
        if (Array.Find(names, name => name.Length == 0 || name != Path.GetFileName(name)) is { } stray) throw new SafetensorsException($"'{Path.Combine(path, Index)}' names '{stray}'; a part is a file of the same folder.");
        return names.Select(name => Path.Combine(path, name));
    }

    private static string? TemplateOf(string path)
    {
        if (Bytes(path, "chat_template.jinja", MaxTemplateBytes) is { } file) return System.Text.Encoding.UTF8.GetString(file);
        if (Bytes(path, "tokenizer_config.json", MaxTemplateBytes) is not { } bytes) return null;

        return Parsed(path, "tokenizer_config.json", bytes, root => root.TryGetProperty("chat_template", out var template) ? Template(template) : null);
    }

    /// <summary>A template, or the one named default of a list.</summary>
    private static string? Template(JsonElement template)
    {
        if (template.ValueKind != JsonValueKind.Array) return template.ValueKind == JsonValueKind.String ? template.GetString() : null;
        foreach (var named in template.EnumerateArray())
        {
            if (named.TryGetProperty("name", out var name) && name.ValueEquals("default")) return named.GetProperty("template").GetString();
        }

        return null;
    }

    private byte[] TokenizerBytes() => Bytes(_path, "tokenizer.json", MaxTokenizerBytes) ?? throw new SafetensorsException($"'{_path}' has no tokenizer.json.");

    private TokenizerSettings Settings()
    {
        var settings = new TokenizerSettings();
        foreach (var name in (string[])["tokenizer_config.json", "config.json", "generation_config.json"])
        {
            if (Bytes(_path, name, MaxTemplateBytes) is { } bytes) Parsed(_path, name, bytes, root => settings.Add(root));
        }

        return settings;
    }

    private void Add(string part)
    {
        var file = SafetensorsFile.Open(part);
        _files.Add(file);
        foreach (var tensor in file.Tensors.Values)
        {
            if (FolderNames.Of(Config.Kind, tensor.Name) is not { } name) continue;

            var isTransposed = Config.Kind.Name == "gpt2" && tensor.Rows > 1 && name.StartsWith("blk.", StringComparison.Ordinal);
            if (isTransposed && tensor.ByteLength > int.MaxValue) throw new ModelException($"Tensor '{tensor.Name}' has {tensor.ByteLength} bytes; of a matrix that is turned round less than 2^31 are read.");
            WeightRows rows = isTransposed ? new TransposedRows(tensor) { Name = tensor.Name, Type = tensor.Type, Rows = tensor.Columns, Columns = tensor.Rows } : tensor;
            if (!_tensors.TryAdd(name, rows)) throw new SafetensorsException($"'{part}' has a tensor '{tensor.Name}' that was there already.");
        }
    }
}
