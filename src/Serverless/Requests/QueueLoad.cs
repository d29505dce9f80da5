namespace Serverless.Requests;

/// <summary>So much of a queue.</summary>
/// <param name="Requests">Requests.</param>
/// <param name="Tokens">Tokens, prompt and output caps together.</param>
/// <param name="Bytes">Bytes of bodies.</param>
public readonly record struct QueueLoad(long Requests, long Tokens, long Bytes)
{
    /// <summary>One request's.</summary>
    public static QueueLoad Of(InferenceRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        return new(1, request.MaxTotalTokens, request.Body.Length);
    }

    /// <summary>Both together.</summary>
    public static QueueLoad operator +(QueueLoad left, QueueLoad right) => Add(left, right);

    /// <summary>What is left without it.</summary>
    public static QueueLoad operator -(QueueLoad left, QueueLoad right) => Subtract(left, right);

    /// <summary>Both together.</summary>
    public static QueueLoad Add(QueueLoad left, QueueLoad right) => new(left.Requests + right.Requests, left.Tokens + right.Tokens, left.Bytes + right.Bytes);

    /// <summary>What is left without it.</summary>
    public static QueueLoad Subtract(QueueLoad left, QueueLoad right) => new(left.Requests - right.Requests, left.Tokens - right.Tokens, left.Bytes - right.Bytes);
}
