using System.CommandLine;

namespace Serverless.Cli.Parsing;

/// <summary>A command with examples: its help shows them, and a test parses each.</summary>
internal sealed class ToolCommand(string name, string description, params string[] examples) : Command(name, description)
{
    public IReadOnlyList<string> Examples => examples;
}
