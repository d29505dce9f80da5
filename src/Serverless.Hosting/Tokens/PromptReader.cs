using System.Runtime.InteropServices;
using System.Text.Json;
using Serverless.Errors;
using Serverless.Inference.Templates;
using Serverless.Inference.Tokenizers;
using Serverless.Requests;

namespace Serverless.Hosting.Tokens;

/// <summary>Turns OpenAI bodies into prompt tokens with a model's own template and tokenizer: the gateway counts with it, the engine runs it. Thread-safe.</summary>
public sealed class PromptReader
{
    private readonly Tokenizer _tokenizer;
    private readonly ChatTemplate? _template;

    private PromptReader(Tokenizer tokenizer, ChatTemplate? template)
    {
        (_tokenizer, _template) = (tokenizer, template);
    }

    /// <summary>Size of the vocabulary.</summary>
    public int VocabularySize => _tokenizer.VocabularySize;

    /// <summary>Whether the model would see <c>tools</c>.</summary>
    public bool ShowsTools => _template is { ShowsTools: true };

    /// <summary>For a model with this tokenizer and template; without a template it takes no chats.</summary>
    /// <exception cref="TemplateException">The template is malformed.</exception>
    public static PromptReader Load(Tokenizer tokenizer, string? template)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        return new PromptReader(tokenizer, template is null ? null : ChatTemplate.Parse(template));
    }

    /// <summary>The tokens of every prompt of the body.</summary>
    /// <param name="body">The body.</param>
    /// <param name="at">When the request was accepted: what a template that writes the date writes, in the gateway, in the engine and in one that goes on elsewhere.</param>
    /// <exception cref="ServingException">The template refuses the messages, or a token is not in the vocabulary.</exception>
    public IReadOnlyList<IReadOnlyList<int>> Encode(OpenAiBody body, DateTimeOffset at = default) => [.. Prompts(body, at, int.MaxValue).Select(prompt => prompt.Tokens)];

    /// <summary>Counts the tokens of a body, and stops where a prompt of it is over the limit.</summary>
    /// <exception cref="ServingException">The template refuses the messages, or a token is not in the vocabulary.</exception>
    public PromptCount Count(EndpointName kind, ReadOnlyMemory<byte> body, int limit, bool wantBlocks, DateTimeOffset at)
    {
        var least = _tokenizer.LeastTokens(PromptBytes.Longest(_tokenizer, kind, body.Span));
        if (least > limit) return PromptCount.AtLeast(least);

        var (all, longest) = (0L, 0);
        IReadOnlyList<ulong>? blocks = null;
        foreach (var prompt in Prompts(OpenAiBody.Parse(kind, body), at, limit))
        {
            var count = prompt.Tokens.Count;
            if (Math.Max(count, prompt.Least) > limit) return PromptCount.AtLeast(Math.Max(Math.Max(count, prompt.Least), least));
            if (wantBlocks) blocks ??= PromptBlocks.Of(CollectionsMarshal.AsSpan(prompt.Tokens));
            all += count;
            longest = Math.Max(longest, count);
        }

        return new PromptCount((int)Math.Min(int.MaxValue, all), longest, false) { Blocks = blocks ?? [] };
    }

    private IEnumerable<Prompt> Prompts(OpenAiBody body, DateTimeOffset at, int limit)
    {
        ArgumentNullException.ThrowIfNull(body);
        foreach (var token in body.Sampling.LogitBias.Keys)
        {
            if ((uint)token >= (uint)VocabularySize) throw Refused("logit_bias", $"'logit_bias' names token {token}; the model's vocabulary has {VocabularySize}, from 0.");
        }

        return body.Endpoint == EndpointName.ChatCompletions ? [Chat(body.Root, at, limit)] : Completion(body.Root.GetProperty("prompt"), limit);
    }

    private Prompt Chat(JsonElement root, DateTimeOffset at, int limit)
    {
        if (_template is null) throw Refused("messages", "The model has no chat template; use /v1/completions.");

        var (tools, extra) = (Tools(root), Extra(root));
        try
        {
            var segments = _template.Render(new ChatTemplateInput
            {
                Messages = root.GetProperty("messages"),
                Tools = tools,
                Extra = extra,
                Now = at,
                BosToken = _tokenizer.BeginText,
                EosToken = _tokenizer.EndText,
            });

            // Text that must be too long by its bytes is not tokenized.
            var least = _tokenizer.LeastTokens(segments.Sum(segment => _tokenizer.CountBytes(segment.Text)));
            return least > limit ? new Prompt([], least) : new Prompt(Begun(PromptEncoder.Encode(_tokenizer, segments, limit)), least);
        }
        catch (TemplateException exception)
        {
            throw Refused("messages", $"The model's chat template refuses the messages: {exception.Message}");
        }
    }

    /// <summary>The tools that the template is to show. What it would not show, the model would never know of.</summary>
    private JsonElement? Tools(JsonElement root)
    {
        if (OpenAiBody.Field(root, "tools") is not { ValueKind: JsonValueKind.Array } tools || tools.GetArrayLength() == 0) return null;
        if (OpenAiBody.Field(root, "tool_choice") is { ValueKind: JsonValueKind.String } choice && choice.ValueEquals("none")) return null;
        if (ShowsTools) return tools;

        throw Refused("tools", "'tools' are given, and the model's chat template shows none: the model would not know of them. Leave them out, set 'tool_choice' to \"none\", or use a model whose template has tools.");
    }

    private static JsonElement? Extra(JsonElement root)
    {
        if (OpenAiBody.Field(root, "chat_template_kwargs") is not { } extra) return null;
        if (extra.ValueKind != JsonValueKind.Object) throw Refused("chat_template_kwargs", "'chat_template_kwargs' must be an object of the template's variables.");

        foreach (var variable in extra.EnumerateObject())
        {
            if (!ChatTemplate.ReservedNames.Contains(variable.Name)) continue;
            throw Refused($"chat_template_kwargs.{variable.Name}", $"'chat_template_kwargs.{variable.Name}' is set by the server and cannot be given; it sets {string.Join(", ", ChatTemplate.ReservedNames.Order(StringComparer.Ordinal))}.");
        }

        return extra;
    }

    private IEnumerable<Prompt> Completion(JsonElement prompt, int limit)
    {
        if (prompt.ValueKind == JsonValueKind.String) return [Text(prompt, limit)];
        if (prompt.GetArrayLength() == 0) throw Refused("prompt", "The prompt is an empty list; give a text, or a list of texts or tokens.");
        if (prompt[0].ValueKind == JsonValueKind.Number) return [Tokens(prompt)];
        return prompt.EnumerateArray().Select(item => item.ValueKind == JsonValueKind.String ? Text(item, limit) : Tokens(item));
    }

    private Prompt Text(JsonElement text, int limit)
    {
        List<int> tokens = [];
        _tokenizer.Encode(text.GetString(), parseSpecial: false, tokens, limit);
        tokens = Begun(tokens);

        // A model cannot go on from nothing: an empty prompt begins where a document does.
        if (tokens.Count == 0) tokens.Add(_tokenizer.EndTokens.Min());
        return new Prompt(tokens, 0);
    }

    /// <summary>With the begin token where the model wants one, and once: a template may have written it already.</summary>
    private List<int> Begun(List<int> tokens)
    {
        if (_tokenizer.BeginToken is { } begin && (tokens.Count == 0 || tokens[0] != begin)) tokens.Insert(0, begin);
        return tokens;
    }

    private Prompt Tokens(JsonElement list)
    {
        if (list.ValueKind != JsonValueKind.Array) throw Refused("prompt", "The prompt holds neither texts nor lists of tokens.");

        var tokens = new List<int>(list.GetArrayLength());
        foreach (var item in list.EnumerateArray())
        {
            // 64.0 is a whole number too.
            if (item.ValueKind != JsonValueKind.Number || item.GetDouble() is var token && (token != Math.Floor(token) || token < 0 || token >= VocabularySize))
                throw Refused("prompt", $"The prompt holds token {Short(item.GetRawText())}; the model's vocabulary has {VocabularySize}, from 0.");
            tokens.Add((int)item.GetDouble());
        }

        return tokens.Count > 0 ? new Prompt(tokens, 0) : throw Refused("prompt", "A prompt holds no token; give at least one.");
    }

    private static string Short(string text) => text.Length <= 40 ? text : text[..40] + "…";

    private static ServingException Refused(string field, string message) => new(new ServingFault(ServingError.InvalidRequest, message, field));

    /// <param name="Tokens">Its tokens; where there are more than are wanted, not all of them.</param>
    /// <param name="Least">At least so many tokens it is.</param>
    private readonly record struct Prompt(List<int> Tokens, long Least);
}
