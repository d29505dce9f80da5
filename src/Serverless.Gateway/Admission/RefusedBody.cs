using Microsoft.AspNetCore.Http;

namespace Serverless.Gateway.Admission;

/// <summary>
/// What is left of a body that was refused is still received for a while: most clients read no answer before they have sent everything, and lose it when the connection is closed on them
/// meanwhile. One that asks first (<c>Expect</c>) is told at once.
/// </summary>
internal static class RefusedBody
{
    /// <summary>For so long.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);

    public static async ValueTask DrainAsync(HttpRequest request, TimeProvider time, CancellationToken cancellationToken)
    {
        if (request.Headers.Expect.Count > 0) return;

        using var limit = new CancellationTokenSource(Longest, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            while (await request.BodyReader.ReadAsync(either.Token) is { IsCompleted: false } read) request.BodyReader.AdvanceTo(read.Buffer.End);
        }
        catch (Exception exception) when (exception is IOException || !cancellationToken.IsCancellationRequested)
        {
            // It sent too much, too slowly, or no more: it is told all the same.
        }
    }
}
