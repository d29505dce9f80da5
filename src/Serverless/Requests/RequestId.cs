using System.Security.Cryptography;

namespace Serverless.Requests;

/// <summary>Names one request from edge to engine and in the log: <c>chatcmpl-</c> or <c>cmpl-</c> and 24 random characters.</summary>
/// <param name="Value">Not empty.</param>
public readonly record struct RequestId(string Value)
{
    private const string Alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    /// <summary>A fresh id for a request of this kind.</summary>
    public static RequestId New(RequestKind kind) =>
        new((kind == RequestKind.ChatCompletion ? "chatcmpl-" : "cmpl-") + RandomNumberGenerator.GetString(Alphabet, 24));

    /// <inheritdoc/>
    public override string ToString() => Value;
}
