namespace Serverless.EndToEndTests.Chaos;

/// <summary>How one try of a request went: served, to be tried again, or a violation.</summary>
/// <param name="Served">It got its whole answer.</param>
/// <param name="Retry">It failed, and its client may try again; why.</param>
/// <param name="Violation">It got what nobody may get.</param>
internal readonly record struct ChaosTry(bool Served, string? Retry, string? Violation)
{
    public static ChaosTry Done => new(true, null, null);

    public static ChaosTry Again(string why) => new(false, why, null);

    public static ChaosTry Wrong(string what) => new(false, null, what);

    /// <summary>By status and code, as OpenAI's clients decide, and 504, which says that time was too short.</summary>
    public static ChaosTry Refused(int status, string body) =>
        status is 408 or 409 or 429 or >= 500 && !body.Contains("request_poisoned", StringComparison.Ordinal) ? Again($"{status} {Code(body)}") : Wrong($"was answered {status}: {body}");

    public static string Code(string body)
    {
        const string Name = "\"code\":\"";
        var at = body.IndexOf(Name, StringComparison.Ordinal);
        return at < 0 ? "" : body[(at + Name.Length)..].Split('"')[0];
    }
}
