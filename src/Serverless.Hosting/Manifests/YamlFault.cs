namespace Serverless.Hosting.Manifests;

/// <summary>Why a document is not read on; never leaves this room.</summary>
internal sealed class YamlFault(int? line, string path, string? value, string message) : Exception(message)
{
    public int? Line => line;

    public string Field => path;

    public string? Value => value;
}
