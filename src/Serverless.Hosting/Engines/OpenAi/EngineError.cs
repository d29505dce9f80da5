using System.Text.Json;
using Serverless.Errors;

namespace Serverless.Hosting.Engines.OpenAi;

/// <summary>What an engine says is wrong: <c>{"error": {…}}</c> in their several ways, or FastAPI's <c>{"detail": …}</c>.</summary>
/// <param name="Message">For people.</param>
/// <param name="Type">Its kind, in the engine's words; empty: it does not say.</param>
/// <param name="Param">The field; null: of none.</param>
/// <param name="Status">The HTTP status that it names; null: none.</param>
internal sealed record EngineError(string Message, string Type, string? Param, int? Status)
{
    private const int LongestMessage = 2000;

    /// <summary>How engines say that prompt and output are more than their context: vLLM and SGLang, SGLang, vLLM of the output alone, TGI, TensorRT-LLM.</summary>
    private static readonly string[] OfContext = ["maximum context length", "longer than the model's context length", "cannot be greater than max_model_len", "`inputs` tokens + `max_new_tokens` must be", "`inputs` must have less than", "should not exceed max_seq_len"];

    /// <summary>Null: the object has none.</summary>
    public static EngineError? Find(JsonElement root)
    {
        if (root.Get("error") is { } error)
        {
            if (error.ValueKind == JsonValueKind.String) return new EngineError(Short(error.GetString()!), root.Text("error_type") ?? "", null, null); // TGI
            if (error.ValueKind == JsonValueKind.Object) return new EngineError(Short(error.Text("message") ?? ""), error.Text("type") ?? "", error.Text("param"), error.Get("code")?.Int());
        }

        if (root.Text("object") == "error" && root.Text("message") is { } old) return new EngineError(Short(old), root.Text("type") ?? "", root.Text("param"), root.Get("code")?.Int()); // vLLM's and SGLang's earlier way
        return root.Get("detail") is { } detail ? new EngineError(Short(detail.ValueKind == JsonValueKind.String ? detail.GetString()! : detail.GetRawText()), "", null, null) : null;
    }

    /// <summary>Of a whole answer with that status, whatever its body is.</summary>
    public static EngineError Of(int status, ReadOnlyMemory<byte> body)
    {
        try
        {
            using var document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = 32 });
            if (Find(document.RootElement) is { } error) return error with { Status = status };
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // Not JSON: a proxy's page perhaps.
        }

        return new EngineError("", "", null, status);
    }

    /// <summary>What the client is told of it.</summary>
    public ServingFault ToFault()
    {
        if (IsOfContext) return new ServingFault(ServingError.ContextTooLong, $"The engine refuses the prompt: {Message}", Param);
        return Status is 400 or 422 && Message.Length > 0
            ? new ServingFault(ServingError.InvalidRequest, $"The engine refuses the request: {Message}", Param)
            : new ServingFault(ServingError.EngineFailed, "The engine failed this request; send it again. The worker's log says why, under the id of the request.");
    }

    /// <summary>Whether it may be otherwise in a moment: it is full, asleep, loading or stopping.</summary>
    public bool IsPassing => Status is 429 or 503 || Type is "overloaded" or "unavailable_error";

    /// <summary>Whether prompt and output are more than its context.</summary>
    public bool IsOfContext => Type == "exceed_context_size_error" || OfContext.Any(words => Message.Contains(words, StringComparison.OrdinalIgnoreCase));

    private static string Short(string text) => text.Length <= LongestMessage ? text : text[..LongestMessage] + "…";
}
