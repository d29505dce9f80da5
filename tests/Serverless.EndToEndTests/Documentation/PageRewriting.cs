using System.Globalization;
using System.Text.RegularExpressions;
using Serverless.EndToEndTests.Parts;

namespace Serverless.EndToEndTests.Documentation;

/// <summary>What a page's lines are changed in before a test runs them, all of it: ports become free ones, and words that stand for something become it.</summary>
internal sealed partial class PageRewriting(string folder)
{
    public const string Model = "smollm2-135m-instruct";

    /// <summary>Within text a command may be named alone: it gets what it cannot do without.</summary>
    private static readonly (string Command, string Needs)[] Completions =
    [
        ("run", "'Say hello.'"),
        ("explain", Model),
        ("keys create", "--org acme --team research"),
        ("dead-letters show", "ID"),
        ("dead-letters redrive", "ID"),
        ("dead-letters remove", "ID"),
        ("batch submit", "FILE"),
        ("batch show", "BATCH"),
        ("batch cancel", "BATCH"),
        ("batch results", "BATCH"),
        ("events tail", "--limit 1"),
        ("events send", "FILE"),
        ("models pull", "SOURCE"),
        ("models rm", "SOURCE"),
    ];

    private readonly Dictionary<string, string> _ports = new(StringComparer.Ordinal);

    /// <summary>A dead letter, once there is one.</summary>
    public string? DeadLetter { get; set; }

    /// <summary>A batch, once there is one.</summary>
    public string? Batch { get; set; }

    /// <summary>Where a model may be pulled from, once there is such a place.</summary>
    public string? Source { get; set; }

    /// <summary>The free port that stands for a page's, in all of its lines.</summary>
    public string Port(string named)
    {
        if (!_ports.TryGetValue(named, out var port)) _ports[named] = port = PartProcess.FreePort().ToString(CultureInfo.InvariantCulture);
        return port;
    }

    public void SetPort(string named, int port) => _ports[named] = port.ToString(CultureInfo.InvariantCulture);

    /// <summary>Ports of their own from here on: what a page starts a second time runs beside the first.</summary>
    public void ForgetPorts() => _ports.Clear();

    public string Apply(string line)
    {
        line = PortNumber().Replace(line, match => Port(match.Value));
        if (!ToolCommand().IsMatch(line)) return line;

        foreach (var (command, needs) in Completions)
        {
            if (line.EndsWith("serverless " + command, StringComparison.Ordinal)) line += " " + needs;
        }

        line = Regex.Replace(line, @"--keys FILE\b", $"--keys {folder}/keys", RegexOptions.None, TimeSpan.FromSeconds(1));
        line = Regex.Replace(line, @"--trace FILE\b", $"--trace {folder}/trace.jsonl", RegexOptions.None, TimeSpan.FromSeconds(1));
        return Placeholder().Replace(line, match => match.Value switch
        {
            "MODEL" or "NAME" => Model,
            "POOL" => Model + "-cpu",
            "DIR" => "models",
            "ID" => DeadLetter ?? "ID",
            "BATCH" => Batch ?? "BATCH",
            "SOURCE" => Source ?? "SOURCE",
            "ADDRESS" => "127.0.0.1",
            var other => $"{folder}/{other}",
        });
    }

    [GeneratedRegex(@"(?<=127\.0\.0\.1:|[Pp]ort[ =]|PORT=)\d{4,5}\b", RegexOptions.None, 1000)]
    private static partial Regex PortNumber();

    [GeneratedRegex(@"(?<![\w/])(\./)?serverless ", RegexOptions.None, 1000)]
    private static partial Regex ToolCommand();

    [GeneratedRegex(@"(?<= )(?:MODEL|NAME|POOL|DIR|ID|BATCH|SOURCE|ADDRESS|FILE)\b", RegexOptions.None, 1000)]
    private static partial Regex Placeholder();
}
