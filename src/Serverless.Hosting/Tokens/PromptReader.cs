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

    /// <summary>For a model with this tokenizer and template; without a template it takes no chats.</summary>
    /// <exception cref="TemplateException">The template is malformed.</exception>
    public static PromptReader Load(Tokenizer tokenizer, string? template)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        return new PromptReader(tokenizer, template is null ? null : ChatTemplate.Parse(template));
    }

    /// <summary>The tokens of every prompt of the body.</summary>
    /// <exception cref="ServingException">The template refuses the messages, or a token is not in the vocabulary.</exception>
    public IReadOnlyList<IReadOnlyList<int>> Encode(OpenAiBody body)
    {
        ArgumentNullException.ThrowIfNull(body);
        return body.Endpoint == EndpointName.ChatCompletions ? [Chat(body.Root)] : Completion(body.Root.GetProperty("prompt"));
    }

    private List<int> Chat(JsonElement root)
    {
        if (_template is null) throw Refused("The model has no chat template; use /v1/completions.");

        try
        {
            var begin = new List<int>();
            if (_tokenizer.BeginToken is { } token) begin.Add(token);
            var segments = _template.Render(new ChatTemplateInput
            {
                Messages = root.GetProperty("messages"),
                Tools = OpenAiBody.Field(root, "tools"),
                Extra = OpenAiBody.Field(root, "chat_template_kwargs"),
            });
            begin.AddRange(PromptEncoder.Encode(_tokenizer, segments));
            return begin;
        }
        catch (TemplateException exception)
        {
            throw Refused($"The model's chat template refuses the messages: {exception.Message}");
        }
    }

    private List<IReadOnlyList<int>> Completion(JsonElement prompt)
    {
        if (prompt.ValueKind == JsonValueKind.String) return [Text(prompt)];
        if (prompt.GetArrayLength() == 0) throw Refused("The prompt is an empty list; give a text, or a list of texts or tokens.");
        if (prompt[0].ValueKind == JsonValueKind.Number) return [Tokens(prompt)];
        return [.. prompt.EnumerateArray().Select(item => item.ValueKind == JsonValueKind.String ? Text(item) : Tokens(item))];
    }

    private List<int> Text(JsonElement text)
    {
        var tokens = _tokenizer.Encode(text.GetString(), parseSpecial: false);
        if (_tokenizer.BeginToken is { } token) tokens.Insert(0, token);

        // A model cannot go on from nothing: an empty prompt begins where a document does.
        if (tokens.Count == 0) tokens.Add(_tokenizer.EndTokens.Min());
        return tokens;
    }

    private List<int> Tokens(JsonElement list)
    {
        var tokens = list.EnumerateArray().Select(token => token.GetInt32()).ToList();
        foreach (var token in tokens)
        {
            if ((uint)token >= (uint)_tokenizer.VocabularySize) throw Refused($"The prompt holds token {token}; the model's vocabulary has {_tokenizer.VocabularySize}, from 0.");
        }

        return tokens.Count > 0 ? tokens : throw Refused("A prompt holds no token; give at least one.");
    }

    private static ServingException Refused(string message) => new(new ServingFault(ServingError.InvalidRequest, message, "messages"));
}
