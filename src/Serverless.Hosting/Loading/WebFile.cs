using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using Serverless.Catalog;
using Serverless.Engines;

namespace Serverless.Hosting.Loading;

/// <summary>A file of the web. Its size and what tells it from another of its name are asked for by its first byte, for HEAD is not answered everywhere. <c>#sha256=…</c> at the address's end is what it must be.</summary>
internal sealed class WebFile(HubHttp http)
{
    private const string Checksum = "#sha256=";

    public async Task<Listing> ListAsync(ModelSource source, CancellationToken cancellationToken)
    {
        var address = new Uri($"{source.Scheme}://{source.Location}");
        var sha = address.Fragment.StartsWith(Checksum, StringComparison.OrdinalIgnoreCase) ? address.Fragment[Checksum.Length..].ToLowerInvariant() : null;
        var plain = new Uri(address.GetLeftPart(UriPartial.Query));
        var name = Uri.UnescapeDataString(plain.Segments[^1]).Trim('/');
        if (name.Length == 0) throw new ModelPullException($"{source.Shown} names no file at its end.");

        var (size, validator) = await http.AgainAsync(source.Shown, token => FirstByteAsync(plain, source.Shown, token), cancellationToken);
        return new Listing(validator, [new RemoteFile(name, size, () => plain) { Sha256 = sha, Validator = validator, Query = plain.Query.Length > 0 ? ModelRecord.Hash(plain.Query) : null }]);
    }

    private async Task<(long? Size, string? Validator)> FirstByteAsync(Uri address, string source, CancellationToken cancellationToken)
    {
        using var response = await http.SendAsync(address, null, static headers => headers.Range = new RangeHeaderValue(0, 0), cancellationToken);
        if (response.StatusCode != HttpStatusCode.RequestedRangeNotSatisfiable) http.Demand(response, source); // an empty file has no first byte
        if (response.Content.Headers.ContentType?.MediaType is "text/html" && !address.AbsolutePath.EndsWith(".html", StringComparison.OrdinalIgnoreCase))
            throw new ModelPullException($"{source}: {HubHttp.Shown(response.RequestMessage!.RequestUri!)} answers a page (text/html), not a file; is it behind a login, or the address of a page about it?");

        var size = response.StatusCode == HttpStatusCode.OK ? response.Content.Headers.ContentLength : response.Content.Headers.ContentRange?.Length;
        return (size, Validators.Of(response));
    }
}

/// <summary>What pins a file while parts of it are asked for.</summary>
internal static class Validators
{
    /// <summary>A strong ETag, or else when it was changed; null: nothing does.</summary>
    public static string? Of(HttpResponseMessage response) => response.Headers.ETag is { IsWeak: false } tag ? tag.Tag : response.Content.Headers.LastModified?.ToString("R", CultureInfo.InvariantCulture);

    /// <summary>As <c>If-Range</c> has it.</summary>
    public static RangeConditionHeaderValue IfRange(string validator) => validator.StartsWith('"') ? new RangeConditionHeaderValue(new EntityTagHeaderValue(validator)) : new RangeConditionHeaderValue(DateTimeOffset.ParseExact(validator, "R", CultureInfo.InvariantCulture));
}
