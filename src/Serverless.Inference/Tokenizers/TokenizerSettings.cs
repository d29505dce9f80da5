using System.Text.Json;

namespace Serverless.Inference.Tokenizers;

/// <summary>What the files beside a tokenizer.json say of it: tokenizer_config.json, config.json, generation_config.json.</summary>
internal sealed class TokenizerSettings
{
    private const int MaxIds = 64;

    /// <summary>The begin token by its text; the first file that names one.</summary>
    public string? Begin { get; private set; }

    public string? End { get; private set; }

    public bool? AddsBegin { get; private set; }

    /// <summary>End tokens by their numbers.</summary>
    public List<int> Ends { get; } = [];

    /// <summary>Adds a file's.</summary>
    public TokenizerSettings Add(JsonElement root)
    {
        Begin ??= Text(root, "bos_token");
        End ??= Text(root, "eos_token");
        if (root.TryGetProperty("add_bos_token", out var adds) && adds.ValueKind is JsonValueKind.True or JsonValueKind.False) AddsBegin ??= adds.GetBoolean();
        if (!root.TryGetProperty("eos_token_id", out var ids)) return this;

        if (ids.ValueKind == JsonValueKind.Number) Ends.Add(ids.GetInt32());
        else if (ids.ValueKind == JsonValueKind.Array) Ends.AddRange(ids.EnumerateArray().Take(MaxIds).Select(id => id.GetInt32()));
        return this;
    }

    /// <summary>A token as its text, or as an object that has it.</summary>
    private static string? Text(JsonElement root, string name)
    {
        if (!root.TryGetProperty(name, out var token)) return null;
        if (token.ValueKind == JsonValueKind.Object && token.TryGetProperty("content", out var content)) token = content;
        return token.ValueKind == JsonValueKind.String ? token.GetString() : null;
    }
}
