using System.Collections.Concurrent;
using Serverless.Catalog;
using Serverless.Hosting.Loading;
using Serverless.Hosting.Manifests;
using Serverless.Inference.Models;
using Serverless.Inference.Templates;
using Serverless.Inference.Tokenizers;
using Serverless.Inference.Weights;
using Serverless.Requests;

namespace Serverless.Hosting.Tokens;

/// <summary>
/// Counts with the template and tokenizer of the model's own file: exactly what the engine will see. Models without a file here (one that is pulled has it once it is in this machine's cache), or with
/// one that cannot be read, are estimated at four bytes a token. A file that is replaced, or comes later, is read then.
/// </summary>
public sealed class GgufTokenCounter : ITokenCounter
{
    private const int BytesPerToken = 4;

    private readonly ConcurrentDictionary<string, Lazy<Opened>> _readers = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<ModelSource, string> _pulled = new();
    private readonly ICatalogSource? _source;
    private readonly ModelCache? _models;
    private ModelCatalog? _catalog;

    /// <summary>Of any model whose file is here.</summary>
    public GgufTokenCounter()
    {
    }

    /// <summary>Of the catalogue's.</summary>
    public GgufTokenCounter(ICatalogSource catalog) => _source = catalog;

    internal GgufTokenCounter(ICatalogSource catalog, ModelCache? models) : this(catalog) => _models = models;

    /// <summary>Files whose tokenizers are kept.</summary>
    internal IReadOnlyCollection<string> Kept => [.. _readers.Keys];

    /// <inheritdoc/>
    public int CountPrompt(Model model, EndpointName kind, ReadOnlyMemory<byte> body) => CountPrompt(model, kind, body, int.MaxValue).Tokens;

    /// <inheritdoc/>
    public PromptCount CountPrompt(Model model, EndpointName kind, ReadOnlyMemory<byte> body, int limit, bool wantBlocks = false, DateTimeOffset at = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        DropUnnamed();
        if (Find(model.Source) is { } reader) return reader.Count(kind, body, limit, wantBlocks, at);

        var estimate = Math.Max(1, body.Length / BytesPerToken);
        return new PromptCount(estimate, estimate, estimate > limit);
    }

    /// <summary>Lets go of the tokenizers that no model of the catalogue has any more, once for each catalogue.</summary>
    private void DropUnnamed()
    {
        var current = _source?.Current;
        if (ReferenceEquals(Interlocked.Exchange(ref _catalog, current), current)) return;

        var named = current!.Models.Select(model => PathOf(model.Source) ?? "").ToHashSet(StringComparer.Ordinal);
        foreach (var unnamed in _readers.Keys.Where(path => !named.Contains(path))) _readers.TryRemove(unnamed, out _);
    }

    /// <summary>The reader of a model's file as it is now, or the last there was where the file is away for the moment; null where there never was one.</summary>
    private PromptReader? Find(ModelSource source)
    {
        if (PathOf(source) is not { } path) return null;

        var file = ModelFile.Of(path);
        var known = _readers.GetValueOrDefault(path);
        if (!file.Exists) return known?.Value.Reader;
        if (known is not null && known.Value.File == file && !known.Value.IsRetried) return known.Value.Reader;

        // Only one of those who come meanwhile reads the file; the others wait for it.
        var opened = new Lazy<Opened>(() => Open(path, file));
        var current = _readers.AddOrUpdate(path, opened, (_, other) => other == known ? opened : other);
        return current.Value.Reader;
    }

    private string? PathOf(ModelSource source)
    {
        if (source.Scheme == ModelSource.FileScheme) return source.Location;
        if (!source.IsPulled || _models is null) return null;
        if (_pulled.TryGetValue(source, out var known) && Path.Exists(known)) return known;
        return _models.Find(source) is { } found ? _pulled[source] = found : null;
    }

    /// <summary>What is wrong with the file itself stays so until it is replaced; what went wrong while it was read may be over the next time.</summary>
    private static Opened Open(string path, ModelFile identity)
    {
        try
        {
            var (tokenizer, template) = ModelFiles.ReadPrompting(path);
            return new Opened(identity, PromptReader.Load(tokenizer, template), IsRetried: false);
        }
        catch (Exception exception) when (exception is ModelFileException or ModelException or TokenizerException or TemplateException or OutOfMemoryException)
        {
            return new Opened(identity, null, IsRetried: exception is OutOfMemoryException || exception.InnerException is IOException or UnauthorizedAccessException);
        }
    }

    private sealed record Opened(ModelFile File, PromptReader? Reader, bool IsRetried);
}
