using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;
using Serverless.Errors;
using Serverless.Files;

namespace Serverless.Gateway.Files;

/// <summary>
/// The form of an upload, <c>multipart/form-data</c>: parts in any order, each once. The file's bytes are handed on as they come, also before it is known what they are for; of everything else
/// little is read, and what is wrong is told by its name. One form each.
/// </summary>
internal sealed class UploadForm
{
    /// <summary>Longest name of a file, in characters.</summary>
    public const int LongestFilename = 255;

    private const int LongestBoundary = 70; // RFC 2046
    private const int MostParts = 8;
    private const int MostHeaderBytes = 8 * 1024;
    private const int MostHeaders = 8;
    private const int LongestField = 256;
    private const string File = "file";
    private const string Purpose = "purpose";
    private const string Anchor = "expires_after[anchor]";
    private const string Seconds = "expires_after[seconds]";

    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
    private static readonly TimeSpan ShortestExpiry = TimeSpan.FromHours(1);
    private static readonly TimeSpan LongestExpiry = TimeSpan.FromDays(30);

    private readonly Dictionary<string, string> _fields = new(StringComparer.Ordinal);
    private string? _filename;

    private UploadForm()
    {
    }

    /// <summary>The boundary of its parts.</summary>
    /// <exception cref="ServingException">The content type is another.</exception>
    public static string BoundaryOf(string? contentType)
    {
        if (!MediaTypeHeaderValue.TryParse(contentType, out var type) || !type.MediaType.Equals("multipart/form-data", StringComparison.OrdinalIgnoreCase))
        {
            var given = string.IsNullOrEmpty(contentType) ? "missing" : $"'{Shorten(contentType)}'";
            throw new ServingException(new ServingFault(ServingError.UnsupportedContentType, $"Content-Type is {given}; a file is sent as 'multipart/form-data' with a boundary."));
        }

        var boundary = HeaderUtilities.RemoveQuotes(type.Boundary);
        return boundary.Length is > 0 and <= LongestBoundary ? boundary.ToString() : throw Invalid($"The boundary of the multipart body has {boundary.Length} characters; 1 to {LongestBoundary} are taken.", null);
    }

    /// <summary>Reads it all.</summary>
    /// <param name="body">The form.</param>
    /// <param name="boundary">Between its parts.</param>
    /// <param name="keep">Takes the file's bytes to their end.</param>
    /// <param name="cancellationToken">Gives it up.</param>
    /// <exception cref="ServingException">It is faulty; bytes may have been handed on.</exception>
    public static async Task<FileDetails> ReadAsync(Stream body, string boundary, Func<Stream, CancellationToken, Task> keep, CancellationToken cancellationToken)
    {
        var form = new UploadForm();
        var reader = new MultipartReader(boundary, body) { HeadersCountLimit = MostHeaders, HeadersLengthLimit = MostHeaderBytes };
        try
        {
            for (var parts = 0; await reader.ReadNextSectionAsync(cancellationToken) is { } section; parts++)
            {
                if (parts == MostParts) throw Invalid($"The form has more than {MostParts} parts; send 'file', 'purpose' and, if it is to expire, '{Anchor}' and '{Seconds}'.", null);
                await form.ReadPartAsync(section, keep, cancellationToken);
            }
        }
        catch (InvalidDataException exception)
        {
            throw Invalid($"The multipart body is faulty: {exception.Message} At most {MostHeaders} headers of {MostHeaderBytes} bytes are taken for a part.", null, exception);
        }
        catch (IOException exception) when (exception is not BadHttpRequestException) // which says itself what is wrong, such as bytes that come too slowly
        {
            throw Invalid("The multipart body ends before its last boundary, or its boundary is not the one of the Content-Type.", null, exception);
        }

        return form.Finish();
    }

    private async Task ReadPartAsync(MultipartSection section, Func<Stream, CancellationToken, Task> keep, CancellationToken cancellationToken)
    {
        if (!ContentDispositionHeaderValue.TryParse(section.ContentDisposition, out var disposition) || !disposition.DispositionType.Equals("form-data", StringComparison.OrdinalIgnoreCase) || Plain(disposition.Name) is not { Length: > 0 } name)
        {
            throw Invalid("A part has no 'Content-Disposition: form-data' with a name; give each part its name.", null);
        }

        if (name != File)
        {
            await ReadFieldAsync(name, section.Body, cancellationToken);
            return;
        }

        if (_filename is not null) throw Invalid("There is more than one 'file'; upload them one by one.", File);
        _filename = CleanName(disposition.FileNameStar.HasValue ? disposition.FileNameStar.ToString() : Plain(disposition.FileName));
        await keep(section.Body, cancellationToken);
    }

    private async Task ReadFieldAsync(string name, Stream body, CancellationToken cancellationToken)
    {
        if (name is not (Purpose or Anchor or Seconds)) throw Invalid($"'{Shorten(name)}' is not a field of an upload; there are 'file', 'purpose', '{Anchor}' and '{Seconds}'.", Shorten(name));

        var buffer = new byte[LongestField + 1];
        var length = await body.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken);
        if (length > LongestField) throw Invalid($"'{name}' is longer than {LongestField} bytes.", name);
        if (!_fields.TryAdd(name, Decode(name, buffer.AsSpan(0, length)))) throw Invalid($"'{name}' is there twice.", name);
        if (name == Purpose) RequirePurpose(); // before the bytes that may follow are kept
    }

    private FileDetails Finish()
    {
        if (_filename is null) throw Invalid("'file' is required: the part that holds the bytes, with a filename.", File);
        RequirePurpose();
        return new FileDetails(_filename, _fields[Purpose], ReadExpiry());
    }

    private void RequirePurpose()
    {
        var choices = string.Join(", ", FilePurposes.Uploadable.Select(purpose => $"'{purpose}'"));
        if (!_fields.TryGetValue(Purpose, out var purpose)) throw Invalid($"'purpose' is required; it is one of {choices}.", Purpose);
        if (!FilePurposes.Uploadable.Contains(purpose, StringComparer.Ordinal)) throw Invalid($"'{Shorten(purpose)}' is not one of {choices} - 'purpose'", Purpose);
    }

    private TimeSpan? ReadExpiry()
    {
        var (hasAnchor, hasSeconds) = (_fields.TryGetValue(Anchor, out var anchor), _fields.TryGetValue(Seconds, out var text));
        if (!hasAnchor && !hasSeconds) return null;

        if (!hasAnchor) throw Invalid($"'{Anchor}' is missing; it is 'created_at'.", Anchor);
        if (anchor != "created_at") throw Invalid($"'{Anchor}' is '{Shorten(anchor!)}'; it is 'created_at'.", Anchor);
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) && seconds >= ShortestExpiry.TotalSeconds && seconds <= LongestExpiry.TotalSeconds
            ? TimeSpan.FromSeconds(seconds)
            : throw Invalid(string.Create(CultureInfo.InvariantCulture, $"'{Seconds}' is {(hasSeconds ? $"'{Shorten(text!)}'" : "missing")}; it is an integer from {ShortestExpiry.TotalSeconds} to {LongestExpiry.TotalSeconds}."), Seconds);
    }

    /// <summary>The name alone: some clients send a path.</summary>
    private static string CleanName(string? sent)
    {
        var name = sent?[(sent.LastIndexOfAny(['/', '\\']) + 1)..].Trim();
        if (string.IsNullOrEmpty(name) || name is "." or "..") throw Invalid("'file' has no filename; send it as a file, with a name.", File);
        if (name.Length > LongestFilename) throw Invalid($"The filename has {name.Length} characters; the limit is {LongestFilename}.", File);
        if (name.Any(char.IsControl)) throw Invalid("The filename holds control characters.", File);
        return name;
    }

    private static string? Plain(StringSegment value) => value.HasValue ? HeaderUtilities.UnescapeAsQuotedString(HeaderUtilities.RemoveQuotes(value)).ToString() : null;

    private static string Decode(string name, ReadOnlySpan<byte> bytes)
    {
        try
        {
            return Utf8.GetString(bytes);
        }
        catch (DecoderFallbackException exception)
        {
            throw Invalid($"'{name}' is not UTF-8.", name, exception);
        }
    }

    private static string Shorten(string text) => text.Length <= 64 ? text : text[..64] + "…";

    private static ServingException Invalid(string message, string? param, Exception? inner = null) => new(new ServingFault(ServingError.InvalidRequest, message, param), inner);
}
