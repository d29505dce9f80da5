using System.Text.Json;

namespace Serverless.Inference.Templates;

/// <summary>What a chat template is rendered with. Immutable.</summary>
public sealed record ChatTemplateInput
{
    /// <summary>OpenAI's <c>messages</c>.</summary>
    public required JsonElement Messages { get; init; }

    /// <summary>OpenAI's <c>tools</c>; null if there are none.</summary>
    public JsonElement? Tools { get; init; }

    /// <summary>Further variables (<c>chat_template_kwargs</c>).</summary>
    public JsonElement? Extra { get; init; }

    /// <summary>Whether the prompt ends where the answer begins.</summary>
    public bool AddGenerationPrompt { get; init; } = true;

    /// <summary>What <c>strftime_now</c> tells.</summary>
    public DateTimeOffset Now { get; init; }

    /// <summary>The text of the model's begin token.</summary>
    public string BosToken { get; init; } = "";

    /// <summary>The text of the model's end token.</summary>
    public string EosToken { get; init; } = "";
}
