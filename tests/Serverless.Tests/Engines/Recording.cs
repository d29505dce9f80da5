using System.Text;
using System.Text.Json;

namespace Serverless.Tests.Engines;

/// <summary>An exchange with a real engine, as it was recorded.</summary>
internal sealed class Recording
{
    private readonly JsonElement _root;

    private Recording(JsonElement root) => _root = root;

    public static IEnumerable<string> Names(string engine) => Directory.GetFiles(Folder(engine), "*.json").Select(file => Path.GetFileNameWithoutExtension(file)).Order(StringComparer.Ordinal);

    public static Recording Of(string engine, string name) => new(JsonElement.Parse(File.ReadAllBytes(Path.Combine(Folder(engine), name + ".json"))));

    public static string Metrics(string file) => File.ReadAllText(Path.Combine(Repository.Root, "tests", "data", "engines", file));

    public int Status => _root.GetProperty("status").GetInt32();

    public string Method => _root.GetProperty("request").GetProperty("method").GetString()!;

    public string Route => _root.GetProperty("request").GetProperty("path").GetString()!;

    public string? ContentType => _root.GetProperty("headers").TryGetProperty("content-type", out var type) ? type.GetString() : null;

    public bool IsStream => _root.TryGetProperty("sse", out _);

    /// <summary>The answer's body.</summary>
    public byte[] Body => Encoding.UTF8.GetBytes(
        IsStream ? string.Concat(_root.GetProperty("sse").EnumerateArray().Select(line => line[1].GetString()))
        : _root.TryGetProperty("json", out var json) ? json.GetRawText()
        : _root.TryGetProperty("text", out var text) ? text.GetString()! : "");

    private static string Folder(string engine) => Path.Combine(Repository.Root, "tests", "data", "engines", engine);
}
