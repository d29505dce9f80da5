using System.Text.Json;
using Serverless.Files;
using Serverless.Gateway.OpenAI;

namespace Serverless.Gateway.Files;

/// <summary>Files as OpenAI writes them: what is not there is null.</summary>
internal static class FileObject
{
    public static byte[] Encode(StoredFile file) => JsonBody.Encode(json => Write(json, file));

    public static byte[] EncodeList(IReadOnlyList<StoredFile> page, bool hasMore) => JsonBody.Encode(json =>
    {
        json.WriteStartObject();
        json.WriteString(Names.Object, "list");
        json.WriteStartArray("data");
        foreach (var file in page) Write(json, file);
        json.WriteEndArray();
        json.WriteString("first_id", page.Count > 0 ? page[0].Id : null);
        json.WriteString("last_id", page.Count > 0 ? page[^1].Id : null);
        json.WriteBoolean("has_more", hasMore);
        json.WriteEndObject();
    });

    public static byte[] EncodeDeleted(StoredFile file) => JsonBody.Encode(json =>
    {
        json.WriteStartObject();
        json.WriteString(Names.Id, file.Id);
        json.WriteString(Names.Object, "file");
        json.WriteBoolean("deleted", true);
        json.WriteEndObject();
    });

    private static void Write(Utf8JsonWriter json, StoredFile file)
    {
        json.WriteStartObject();
        json.WriteString(Names.Id, file.Id);
        json.WriteString(Names.Object, "file");
        json.WriteNumber("bytes", file.Bytes);
        json.WriteNumber("created_at", file.CreatedAt.ToUnixTimeSeconds());
        if (file.ExpiresAt is { } expires) json.WriteNumber("expires_at", expires.ToUnixTimeSeconds());
        else json.WriteNull("expires_at");
        json.WriteString("filename", file.Filename);
        json.WriteString("purpose", file.Purpose);
        json.WriteString("status", "processed"); // nothing is done with a file before it is used
        json.WriteNull("status_details");
        json.WriteEndObject();
    }
}
