namespace Serverless.Requests;

/// <summary>Which OpenAI body a request carries, so which reader an engine uses.</summary>
public enum RequestKind
{
    /// <summary><c>POST /v1/chat/completions</c>.</summary>
    ChatCompletion,

    /// <summary><c>POST /v1/completions</c>.</summary>
    Completion,
}
