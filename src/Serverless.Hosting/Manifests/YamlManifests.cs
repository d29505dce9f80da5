using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Serverless.Catalog.Manifests;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Serverless.Hosting.Manifests;

/// <summary>Reads a YAML file of one or more documents as the JSON objects that custom resources are, with the line of every field. Bounded: any bytes give manifests or an error.</summary>
public static class YamlManifests
{
    /// <summary>A longer file is refused unread.</summary>
    public const int MaxBytes = 1 << 20;

    private const int MaxDocuments = 1000;

    /// <summary>The manifests of a file. What cannot be read is added to <paramref name="errors"/>; the documents before it are returned.</summary>
    /// <param name="path">Where the bytes are from; relative locations start from its folder.</param>
    /// <param name="bytes">UTF-8.</param>
    /// <param name="errors">Receives at most one error: YAML that is broken cannot be read past the break.</param>
    public static IReadOnlyList<Manifest> Read(string path, ReadOnlySpan<byte> bytes, ICollection<CatalogFinding> errors)
    {
        ArgumentNullException.ThrowIfNull(errors);
        var manifests = new List<Manifest>();
        var document = 1;
        Parser? parser = null;
        try
        {
            if (bytes.Length > MaxBytes) throw new YamlFault(null, "", null, Text($"has {bytes.Length} bytes; {MaxBytes} are allowed"));

            parser = new Parser(new StringReader(Decode(bytes)));
            parser.Consume<StreamStart>();
            for (; !parser.TryConsume<StreamEnd>(out _); document++)
            {
                if (document > MaxDocuments) throw new YamlFault(null, "", null, Text($"is one of more than {MaxDocuments} in a file; split the file"));

                parser.Consume<DocumentStart>();
                var reader = new YamlDocumentReader(parser);
                var root = reader.Read();
                parser.Consume<DocumentEnd>();
                if (root is null) continue; // a comment between two separators

                if (root is not JsonObject content) throw new YamlFault(reader.Lines.GetValueOrDefault("", 1), "", null, "must be an object with apiVersion, kind, metadata and spec");
                var manifest = new Manifest(path, document, content) { Folder = Path.GetDirectoryName(Path.GetFullPath(path)), Lines = reader.Lines };
                if (ManifestList.IsOne(content)) manifests.AddRange(ManifestList.Items(manifest));
                else manifests.Add(manifest);
            }
        }
        catch (YamlFault fault)
        {
            errors.Add(new CatalogFinding(path, document, fault.Line, fault.Field, fault.Value, fault.Message));
        }
        catch (YamlException exception)
        {
            errors.Add(new CatalogFinding(path, document, (int)exception.Start.Line, "", null, Text($"is no YAML at column {exception.Start.Column}: {exception.Message}")));
        }
        catch (InvalidOperationException)
        {
            // YamlDotNet 16 meets some broken flow sequences with this instead of its own exception.
            errors.Add(new CatalogFinding(path, document, (int?)parser?.Current?.Start.Line, "", null, "is no YAML from about here on: a bracket, a quote or a comma is wrong"));
        }

        return manifests;
    }

    private static string Decode(ReadOnlySpan<byte> bytes)
    {
        try
        {
            if (bytes.StartsWith(Encoding.UTF8.Preamble)) bytes = bytes[Encoding.UTF8.Preamble.Length..];
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes);
        }
        catch (DecoderFallbackException exception)
        {
            throw new YamlFault(null, "", null, Text($"is not UTF-8: byte {exception.Index} is wrong"));
        }
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
