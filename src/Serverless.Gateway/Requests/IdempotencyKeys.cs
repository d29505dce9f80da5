using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Serverless.Documents;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Gateway.Requests;

/// <summary>
/// Idempotency keys by owner's scope: of requests that come at the same time under one key, one wins, and the others learn its id. Neither key nor body is stored, their hashes are.
/// Thread-safe.
/// </summary>
internal sealed class IdempotencyKeys(IDocumentStore documents)
{
    private const string Collection = "idempotency";

    /// <summary>Takes the key for <paramref name="request"/>, unless another request has it.</summary>
    /// <exception cref="ServingException"><see cref="ServingError.IdempotencyConflict"/>: the key came with another body before.</exception>
    public async ValueTask<KeyClaim> ClaimAsync(string key, InferenceRequest request, TimeSpan keep, CancellationToken cancellationToken)
    {
        var name = Name(key, request.Owner);
        var body = Fingerprint(request);
        while (true)
        {
            if (await documents.SaveAsync(name, Encode(request.Id, body), SaveCondition.New, keep, cancellationToken) is not null) return new KeyClaim(request.Id, true, null);
            if (await documents.GetAsync(name, cancellationToken) is not { } stored) continue; // it outlived its time between the two

            using var json = JsonDocument.Parse(stored.Json);
            if (json.RootElement.GetProperty("body").GetString() != body) throw Conflict();
            return new KeyClaim(new RequestId(json.RootElement.GetProperty("request").GetString()!), false, stored);
        }
    }

    /// <summary>Gives the key to <paramref name="request"/>, in place of one that came to nothing. False if another did so meanwhile.</summary>
    public async ValueTask<bool> ReplaceAsync(KeyClaim claim, InferenceRequest request, TimeSpan keep, CancellationToken cancellationToken)
    {
        var stored = claim.Document ?? throw new ArgumentException("A claim that was just taken is not replaced.", nameof(claim));
        return await documents.SaveAsync(stored.Key, Encode(request.Id, Fingerprint(request)), SaveCondition.Unchanged(stored), keep, cancellationToken) is not null;
    }

    /// <summary>Gives the key back: nothing was accepted under it.</summary>
    public async ValueTask ReleaseAsync(string key, InferenceRequest request, CancellationToken cancellationToken)
    {
        var name = Name(key, request.Owner);
        if (await documents.GetAsync(name, cancellationToken) is { } stored && stored.Json.Span.IndexOf(Encoding.UTF8.GetBytes(request.Id.Value)) >= 0)
        {
            await documents.DeleteAsync(name, SaveCondition.Unchanged(stored), cancellationToken);
        }
    }

    private static DocumentKey Name(string key, Owner owner) => new(Collection, owner.Scope, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)))) { IsUnlisted = true };

    private static string Fingerprint(InferenceRequest request)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Mark(request.Endpoint));
        hash.AppendData(request.Body.Span);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>A key that version 1 took stands for the same body.</summary>
    private static byte[] Mark(EndpointName endpoint) =>
        endpoint == EndpointName.ChatCompletions ? [0] : endpoint == EndpointName.Completions ? [1] : Encoding.UTF8.GetBytes(endpoint.Value);

    private static byte[] Encode(RequestId request, string body) => Encoding.UTF8.GetBytes($$"""{"request":"{{request.Value}}","body":"{{body}}"}""");

    private static ServingException Conflict() =>
        new(new ServingFault(ServingError.IdempotencyConflict, "This Idempotency-Key came before with another body or endpoint; use a key once for one request, and the same body when you send it again.", "Idempotency-Key"));
}

/// <summary>Which request an idempotency key stands for.</summary>
/// <param name="Request">The request.</param>
/// <param name="Taken">Whether it is the caller's, just now.</param>
/// <param name="Document">What is stored, if it is another's.</param>
internal readonly record struct KeyClaim(RequestId Request, bool Taken, Document? Document);
